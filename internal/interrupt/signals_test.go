package interrupt

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

const envChild = "LLMSCALE_TEST_SIGNALS"

// TestSignals: what comes with the first signal is of the same event; a later one ends the process.
func TestSignals(t *testing.T) {
	if os.Getenv(envChild) != "" {
		ctx, release := Signals(t.Context())
		defer release()
		os.Stdout.WriteString("ready\n")
		<-ctx.Done()
		os.Stdout.WriteString("told\n")
		time.Sleep(2 * time.Second)
		os.Stdout.WriteString("ended\n")
		return
	}
	for pause, want := range map[time.Duration]bool{0: true, time.Second: false} {
		cmd := exec.Command(os.Args[0], "-test.run=TestSignals")
		cmd.Env = append(os.Environ(), envChild+"=1")
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		var said strings.Builder
		buffer := make([]byte, 1024)
		for {
			n, err := out.Read(buffer)
			said.Write(buffer[:n])
			if err != nil {
				break
			}
			if strings.HasSuffix(said.String(), "ready\n") {
				for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGTERM} {
					if err := cmd.Process.Signal(sig); err != nil {
						t.Fatal(err)
					}
					time.Sleep(pause)
				}
			}
		}
		_ = cmd.Wait() // of a signal, or not
		if strings.Contains(said.String(), "ended") != want || !strings.Contains(said.String(), "told") {
			t.Errorf("two signals %v apart: %q", pause, said.String())
		}
	}
}
