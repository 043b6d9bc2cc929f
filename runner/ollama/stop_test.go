package ollama

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

const envStopped = "LLMSCALE_TEST_STOPPED_SERVER"

// TestStoppedClient: a client that was stopped while it waited for a server does not blame the server. The test runs
// itself as that client.
func TestStoppedClient(t *testing.T) {
	const limit = 2 * time.Second
	if addr := os.Getenv(envStopped); addr != "" {
		c, err := NewClient(addr, Limits{Idle: limit, Small: limit})
		if err != nil {
			t.Fatal(err)
		}
		v, err := c.Version(context.Background())
		fmt.Printf("version %q, %v\n", v, err)
		return
	}
	for _, stopped := range []bool{true, false} {
		f, addr := newFake(t)
		asked := make(chan struct{}, 1)
		f.mu.Lock() // what asks is another process, which orders nothing in this one
		f.override["/api/version"] = func(w http.ResponseWriter, r *http.Request) {
			asked <- struct{}{}
			w.(http.Flusher).Flush() // the answer's head: from here on the client counts silence too
			time.Sleep(limit * 7 / 4)
			fmt.Fprint(w, `{"version": "1.2.3"}`)
		}
		f.mu.Unlock()
		cmd := exec.Command(os.Args[0], "-test.run=^TestStoppedClient$")
		cmd.Env = append(os.Environ(), envStopped+"="+addr)
		var out strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-asked:
		case <-time.After(patience):
			t.Fatal("nothing was asked")
		}
		if stopped {
			time.Sleep(100 * time.Millisecond)
			for _, sig := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGCONT} {
				if err := cmd.Process.Signal(sig); err != nil {
					t.Fatal(err)
				}
				time.Sleep(limit * 5 / 4)
			}
		}
		if err := cmd.Wait(); err != nil {
			t.Fatalf("%v\n%s", err, out.String())
		}
		if want := map[bool]string{true: `version "1.2.3", <nil>`, false: " 2s"}[stopped]; !strings.Contains(out.String(), want) {
			t.Errorf("stopped %v: %s, want %q", stopped, out.String(), want)
		}
	}
}
