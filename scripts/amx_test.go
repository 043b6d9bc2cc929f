package scripts

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What scripts/amx.cmake is for: GCC drops the stores to a tile configuration beyond its first 8 bytes, unless
// ggml-cpu/amx/mmq.cpp is compiled with its flags. No CPU with AMX is needed to see them in the assembly.
func TestTileConfigurationIsStored(t *testing.T) {
	rules, err := os.ReadFile("amx.cmake")
	if err != nil {
		t.Fatal(err)
	}
	flags := regexp.MustCompile(`set\(flags (-[^)]*)\)`).FindSubmatch(rules)
	if flags == nil {
		t.Fatal("amx.cmake sets no flags")
	}
	source := filepath.Join(t.TempDir(), "amx.cpp")
	text := "#include <immintrin.h>\nvoid f() {\n  alignas(64) unsigned char c[64] = {};\n  c[0] = 1;\n  c[40] = 77;\n  _tile_loadconfig(c);\n}\n"
	if err := os.WriteFile(source, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	stored := func(flags ...string) bool {
		out, err := exec.Command("g++", append(flags, "-O3", "-mamx-tile", "-S", "-o", "-", source)...).Output()
		if err != nil {
			t.Skip("no g++ that knows AMX: ", err)
		}
		return strings.Contains(string(out), "$77,")
	}
	if stored() {
		t.Skip("this compiler keeps the stores without help")
	}
	if !stored(strings.Fields(string(flags[1]))...) {
		t.Errorf("with %s the stores are dropped too", flags[1])
	}
}
