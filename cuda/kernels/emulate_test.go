package kernels_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// The kernels' own sources, compiled for this machine's processor: what they compute
// is tested here, and how fast they do it nowhere but on a GPU.

var built struct {
	once   sync.Once
	binary string
	skip   string
	err    error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.binary != "" {
		os.RemoveAll(filepath.Dir(built.binary))
	}
	os.Exit(code)
}

func build() {
	sources, err := filepath.Glob("emulate/*.cpp")
	if err != nil || len(sources) == 0 {
		built.skip = "the kernels' sources are not here: this test runs in the source tree"
		return
	}
	compiler, err := exec.LookPath("g++")
	if err != nil {
		built.skip = "no g++ to compile the kernels for this processor with"
		return
	}
	dir, err := os.MkdirTemp("", "emulate")
	if err != nil {
		built.err = err
		return
	}
	built.binary = filepath.Join(dir, "serve")
	args := []string{"-std=c++17", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-DLS_EMULATE", "-o", built.binary,
		"-fsanitize=address,undefined", "-fno-sanitize-recover=all"}
	for _, s := range sources {
		if filepath.Base(s) != "driver.cpp" {
			args = append(args, s)
		}
	}
	if out, err := exec.Command(compiler, args...).CombinedOutput(); err != nil {
		built.err = fmt.Errorf("g++: %w\n%s", err, out)
	}
}

// gpu is a process that runs emulated kernels.
type gpu struct {
	t      *testing.T
	in     io.WriteCloser
	out    *bufio.Reader
	stderr bytes.Buffer
	cmd    *exec.Cmd
}

func emulate(t *testing.T) *gpu {
	t.Helper()
	built.once.Do(build)
	if built.skip != "" {
		t.Skip(built.skip)
	}
	if built.err != nil {
		t.Fatal(built.err)
	}
	g := &gpu{t: t, cmd: exec.Command(built.binary)}
	g.cmd.Env = append(os.Environ(), "ASAN_OPTIONS=detect_leaks=0")
	in, err := g.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := g.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	g.in, g.out, g.cmd.Stderr = in, bufio.NewReader(out), &g.stderr
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		g.in.Close()
		if err := g.cmd.Wait(); err != nil {
			t.Errorf("emulation: %v\n%s", err, g.stderr.String())
		}
	})
	return g
}

// launch runs a kernel. Slices are buffers and receive what the kernel left in them.
func (g *gpu) launch(kernel string, grid, block int, args ...any) error {
	g.t.Helper()
	var request bytes.Buffer
	put := func(v any) {
		if err := binary.Write(&request, binary.NativeEndian, v); err != nil {
			g.t.Fatal(err)
		}
	}
	put(uint32(len(kernel)))
	request.WriteString(kernel)
	put([]uint32{uint32(grid), uint32(block), uint32(len(args))})
	for _, arg := range args {
		switch v := arg.(type) {
		case uint32:
			put(uint32(0))
			put(uint64(v))
		case uint64:
			put(uint32(0))
			put(v)
		case float32:
			put(uint32(0))
			put(uint64(math.Float32bits(v)))
		default:
			put(uint32(1))
			put(uint64(binary.Size(v)))
			put(v)
		}
	}
	if _, err := g.in.Write(request.Bytes()); err != nil {
		g.t.Fatalf("%s: %v", kernel, err)
	}
	take := func(v any) {
		if err := binary.Read(g.out, binary.NativeEndian, v); err != nil {
			g.in.Close()
			g.cmd.Wait() // so that stderr is whole
			g.t.Fatalf("%s: the emulation ended:\n%s", kernel, g.stderr.String())
		}
	}
	var n uint32
	take(&n)
	if n > 0 {
		message := make([]byte, n)
		take(message)
		return fmt.Errorf("%s", message)
	}
	for _, arg := range args {
		switch arg.(type) {
		case uint32, uint64, float32:
		default:
			take(arg)
		}
	}
	return nil
}

func (g *gpu) must(kernel string, grid, block int, args ...any) {
	g.t.Helper()
	if err := g.launch(kernel, grid, block, args...); err != nil {
		g.t.Fatalf("%s, %d blocks of %d: %v", kernel, grid, block, err)
	}
}
