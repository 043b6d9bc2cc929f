package ceilings

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func read(size int64, median, best float64) Bandwidth {
	return Bandwidth{Op: Read, WorkingSetB: size, BytesPerPass: size, BytesPerS: median, BestBytesPerS: best, Passes: 5}
}

// cpu has a cache of 100 to 200 bytes.
func cpu(threads int) Device {
	return Device{Kind: CPU, Name: "c", Threads: threads, Bandwidth: []Bandwidth{
		read(400, 9, 10), read(50, 80, 90), read(100, 90, 100), {Op: Copy, WorkingSetB: 100, BytesPerS: 1e9, BestBytesPerS: 1e9},
		read(200, 11, 12), read(100, 70, 110), read(800, 10, 11),
	}}
}

func TestEnvelope(t *testing.T) {
	e := NewEnvelope(cpu(2))
	want := []Rate{{50, 110}, {100, 110}, {200, 12}, {400, 11}, {800, 11}} // 400 is lifted to what 800 reached, 50 to 100
	if got := e.Rates(); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := ReadRates(cpu(2)); got[0].BytesPerS != 90 || got[1].BytesPerS != 110 || got[3].BytesPerS != 10 {
		t.Errorf("the measured rates were changed: %v", got)
	}
	for _, c := range []struct {
		bytes           int64
		atMost, reached float64
	}{
		{1, 110, 110}, {50, 110, 110}, {99, 110, 110}, {100, 110, 110},
		{101, 110, 12}, {199, 110, 12}, // it may still fit
		{200, 12, 12}, {300, 12, 11}, {800, 11, 11}, {1 << 60, 11, 11},
	} {
		if atMost, reached := e.At(c.bytes); atMost != c.atMost || reached != c.reached {
			t.Errorf("at %d bytes: at most %v, reached %v; want %v, %v", c.bytes, atMost, reached, c.atMost, c.reached)
		}
	}
	// The envelope is below nothing that was measured, and does not rise.
	last := 1e300
	for b := int64(1); b < 1000; b++ {
		atMost, reached := e.At(b)
		if atMost < reached || atMost > last {
			t.Fatalf("at %d bytes: at most %v, reached %v, one byte less %v", b, atMost, reached, last)
		}
		last = atMost
		for _, r := range ReadRates(cpu(2)) {
			if r.WorkingSetB >= b && r.BytesPerS > atMost {
				t.Fatalf("%v was read at more than the %v possible for %d bytes", r, atMost, b)
			}
		}
	}
	if none := NewEnvelope(Device{}); none.OK() {
		t.Error("an envelope of nothing")
	} else if a, b := none.At(5); a != 0 || b != 0 {
		t.Error(a, b)
	}
}

// TestEnvelopeOfSessions: the best of several measurements counts.
func TestEnvelopeOfSessions(t *testing.T) {
	slow, fast := cpu(2), cpu(2)
	for i := range fast.Bandwidth {
		fast.Bandwidth[i].BestBytesPerS *= 2
	}
	if atMost, _ := NewEnvelope(slow, fast).At(800); atMost != 22 {
		t.Errorf("at most %v, want the faster session's 22", atMost)
	}
}

func TestOf(t *testing.T) {
	f := File{Devices: []Device{cpu(1), cpu(2), {Kind: CUDA, Name: "g"}, cpu(2)}}
	if n := len(f.Of(CPU, 2)); n != 2 {
		t.Errorf("%d measurements of 2 threads", n)
	}
	if n := len(f.Of(CUDA, 7)); n != 1 {
		t.Errorf("%d measurements of the GPU", n)
	}
	if n := len(f.Of(CPU, 3)); n != 0 {
		t.Errorf("%d measurements of 3 threads", n)
	}
}

func TestAppendKeepsWhatIsThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), FileName)
	if _, err := Load(path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("%v, want fs.ErrNotExist", err)
	}
	first, second := cpu(1), cpu(2)
	first.MeasuredAt, second.MeasuredAt = time.Unix(1000, 0).UTC(), time.Unix(2000, 0).UTC()
	second.Session = 1
	for _, d := range []Device{first, second} {
		if aside, err := Append(path, []Device{d}); aside != "" || err != nil {
			t.Fatal(aside, err)
		}
	}
	f, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(f.Devices, []Device{first, second}) || !f.MeasuredAt.Equal(first.MeasuredAt) || f.SchemaVersion != SchemaVersion {
		t.Errorf("%+v", f)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestUnreadableIsMovedAside(t *testing.T) {
	for name, text := range map[string]string{"broken": `{"devices": [`, "newer": `{"schema_version": 99, "devices": []}`, "no version": `{}`} {
		path := filepath.Join(t.TempDir(), FileName)
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
		aside, err := Append(path, []Device{cpu(1)})
		if err != nil {
			t.Fatal(err)
		}
		if kept, err := os.ReadFile(aside); err != nil || string(kept) != text {
			t.Errorf("%s: %q was kept in %q (%v)", name, kept, aside, err)
		}
		if f, err := Load(path); err != nil || len(f.Devices) != 1 {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

func TestWriteSaysWhere(t *testing.T) {
	if err := (File{}).Write("/no/such/folder/c.json"); err == nil || !strings.Contains(err.Error(), "/no/such/folder/c.json") {
		t.Errorf("%v", err)
	}
}
