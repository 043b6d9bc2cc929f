//go:build native

package native

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"llmscale/gguf/archs"
)

// prober asks a process of its own about models, since llama.cpp ends the process where it asserts.
type prober struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
	log *os.File
}

// died begins a reply of a process that is no more.
const died = "died: "

type question struct {
	Model  archs.Model
	Decode bool
}

type reply struct {
	Err     string
	Account archs.Account
}

func (p *prober) probe(m *archs.Model, decode bool) reply {
	p.t.Helper()
	if p.cmd == nil {
		p.cmd = exec.Command(os.Args[0], "-test.run=^TestProbeServer$")
		p.cmd.Env = append(os.Environ(), "LLMSCALE_PROBE_SERVER=1")
		log, err := os.Create(filepath.Join(p.t.TempDir(), "log"))
		if err != nil {
			p.t.Fatal(err)
		}
		p.log, p.cmd.Stderr = log, log
		p.in, _ = p.cmd.StdinPipe()
		out, _ := p.cmd.StdoutPipe()
		p.out = bufio.NewScanner(out)
		p.out.Buffer(nil, 1<<20)
		if err := p.cmd.Start(); err != nil {
			p.t.Fatal(err)
		}
	}
	q, err := json.Marshal(question{*m, decode})
	if err != nil {
		p.t.Fatal(err)
	}
	fmt.Fprintf(p.in, "%s\n", q)
	for p.out.Scan() {
		if line, ok := strings.CutPrefix(p.out.Text(), "reply "); ok {
			var r reply
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				p.t.Fatal(err)
			}
			return r
		}
	}
	text, _ := os.ReadFile(p.log.Name())
	said := died + string(text)
	if f := os.Getenv("LLMSCALE_PROBE_LAST"); f != "" { // the question that ended the process, to be asked again under a debugger
		_ = os.WriteFile(f, append(q, '\n'), 0o666)
	}
	said, _, _ = strings.Cut(said, "\n")
	p.end()
	return reply{Err: said}
}

func (p *prober) end() {
	if p.cmd != nil {
		p.in.Close()
		_ = p.cmd.Wait()
		p.log.Close()
		p.cmd = nil
	}
}

// TestProbeServer is the other process: it answers question by question.
func TestProbeServer(t *testing.T) {
	if os.Getenv("LLMSCALE_PROBE_SERVER") == "" {
		t.Skip("only as the child of TestDiscover")
	}
	path := filepath.Join(t.TempDir(), "model.gguf")
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var q question
		var r reply
		if err = json.Unmarshal(line, &q); err == nil {
			err = q.Model.Write(path)
		}
		if err == nil {
			r.Account, err = account(&q.Model, path, q.Decode)
		}
		if err != nil {
			r.Err = err.Error()
			if e, ok := err.(*Error); ok {
				r.Err += ": " + strings.Join(e.Log, "; ")
			}
		}
		b, _ := json.Marshal(r)
		fmt.Printf("reply %s\n", b)
	}
}
