package text

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestWriter(t *testing.T) {
	const in = "a\tb\n\x1b]0;x\a \u202e 中 \xe4\xb8 \U000e0041\xff end \xe4"
	want := SafeLines(in)
	for size := 1; size <= len(in); size++ { // however the text is cut
		var b bytes.Buffer
		w := NewWriter(&b)
		for rest := in; rest != ""; {
			n, err := w.Write([]byte(rest[:min(size, len(rest))]))
			if err != nil || n != min(size, len(rest)) {
				t.Fatalf("%d, %v", n, err)
			}
			rest = rest[n:]
		}
		if err := w.Flush(); err != nil || b.String() != want {
			t.Errorf("in pieces of %d bytes: %q (%v), want %q", size, b.String(), err, want)
		}
	}
	if w := NewWriter(nil); w.Unwrap() != nil {
		t.Error("unwrapped it is another writer")
	}
}

func TestJSON(t *testing.T) {
	in := map[string]string{"a\u202eb": "DEL \x7f C1 \u009b tag \U000e0041 sep \u2028 ESC \x1b newline \n plain 中 👍 \u0600"}
	data, err := json.MarshalIndent(in, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	got := JSON(data)
	if SafeLines(string(got)) != string(got) {
		t.Errorf("not safe: %q", got)
	}
	if !strings.Contains(string(got), `tag \udb40\udc41 `) || !strings.Contains(string(got), "中 👍") {
		t.Errorf("%s", got)
	}
	var back map[string]string
	if err := json.Unmarshal(got, &back); err != nil || back["a\u202eb"] != in["a\u202eb"] {
		t.Errorf("read back: %q, %v", back, err)
	}
	if plain := []byte(`{"a": "b"}`); &JSON(plain)[0] != &plain[0] {
		t.Error("a plain text is copied")
	}
}
