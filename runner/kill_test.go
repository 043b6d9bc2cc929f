package runner

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"llmscale/runner/config"
	"llmscale/runner/machine"
	"llmscale/runner/record"
	"llmscale/runner/store"
	"llmscale/runner/worker"
	"llmscale/runner/workertest"
)

var discard = slog.New(slog.DiscardHandler)

// coordinate is the part of the test binary that gets killed: it starts or
// resumes a run and prints a line for every call that it acknowledges.
func coordinate(dir string) error {
	if text := os.Getenv(envRoom); text != "" {
		room, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return err
		}
		signal.Ignore(syscall.SIGXFSZ)
		if err := syscall.Setrlimit(unix.RLIMIT_FSIZE, &syscall.Rlimit{Cur: room, Max: room}); err != nil {
			return err
		}
	}
	path := filepath.Join(filepath.Dir(dir), "test.yaml")
	env := []string{workertest.EnvPart + "=worker", workertest.EnvFault + "=" + os.Getenv(workertest.EnvFault),
		"GOTRACEBACK=crash"} // so that one killed before workertest.Main is ended by a signal too
	h := Host{Progress: acks{}, Log: discard, Worker: worker.Command{Path: workertest.Program(), Env: env}}
	for {
		r, err := begun(context.Background(), path, dir, h)
		switch {
		case err == nil:
			defer r.Close()
			_, err = r.Execute(context.Background())
			return err
		case !strings.Contains(err.Error(), "was ended by"): // by the tests, while it said what it is
			return err
		}
	}
}

// begun starts the run in dir, or goes on with it.
func begun(ctx context.Context, path, dir string, h Host) (*Run, error) {
	if _, err := os.Stat(filepath.Join(dir, store.ManifestFile)); err == nil {
		return Resume(ctx, dir, h)
	}
	cfg, err := config.Load(path)
	if err != nil {
		return nil, err
	}
	return Start(ctx, Sweep{Config: cfg, ID: "test", Dir: dir, ModelsDir: testModels().Dir}, h)
}

type acks struct{}

func (acks) Update(Status) {}
func (acks) Note(string)   {}
func (acks) Stored(cell string, replicate, call int, status string) {
	fmt.Printf("%s %d.%d %s\n", cell, replicate, call, status)
}

// TestKilledRunsLoseNothing kills coordinators with SIGKILL and workers with
// SIGSEGV, SIGABRT and SIGKILL at random moments until the run is done. Every
// acknowledged call must be on record, whole, and the resumed run must end with
// exactly the planned repetitions. With -short it is a few kills only: under the race
// detector each process takes seconds to start.
func TestKilledRunsLoseNothing(t *testing.T) {
	const seed = 1
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	root := t.TempDir()
	dir := filepath.Join(root, "run")
	repetitions, enough := 9, 3
	if testing.Short() {
		repetitions, enough = 1, 0
	}
	text := strings.Replace(testConfig, "replicates: 1\nrepetitions: 3", fmt.Sprint("replicates: 4\nrepetitions: ", repetitions), 1)
	text = strings.Replace(text, "dtype: f32, threads: 1", "dtype: f32, threads: 1, batch_size: 4", 1)
	text = strings.Replace(text, "prompt_tokens: 5", "prompt_tokens: 5, depth: 64", 1)
	// One backend's workers are another program.
	text = strings.Replace(text, "dtype: f16, threads: 1", "dtype: f16, threads: 1, program: ./other", 1)
	workertest.WriteProgram(t, filepath.Join(root, "other"), "other")
	if err := os.WriteFile(filepath.Join(root, "test.yaml"), []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	// Every fifth process or so runs in another state of the machine: some models are measured again.
	states := make([]byte, 1000)
	for i := range states {
		states[i] = "....x"[random.IntN(5)]
	}
	if err := os.WriteFile(statesFile(dir), states, 0o666); err != nil {
		t.Fatal(err)
	}
	oomKills := machine.OOMKills()
	acknowledged := map[string]int{}
	kills := map[string]int{}
	for round := 0; ; round++ {
		if round == 400 {
			t.Fatal("not done after 400 rounds")
		}
		finished := killedRound(t, random, dir, acknowledged, kills)
		if _, err := os.Stat(filepath.Join(dir, store.ManifestFile)); err == nil && round%5 == 0 {
			checkAcknowledged(t, dir, acknowledged)
		}
		if finished && complete(t, dir, oomKills) {
			break
		}
	}
	t.Logf("kills: %v", kills)
	total := 0
	for _, n := range kills {
		total += n
	}
	if want := map[bool]int{true: 1, false: 100}[testing.Short()]; total < want {
		t.Errorf("%d kills: the test is too weak, want %d", total, want)
	}
	for _, what := range []string{"coordinator SIGKILL", "worker SIGKILL", "worker SIGSEGV", "worker SIGABRT"} {
		if kills[what] < enough {
			t.Errorf("%s happened %d times: the test is too weak", what, kills[what])
		}
	}
	checkAcknowledged(t, dir, acknowledged)
	cfg, err := config.Parse(filepath.Join(root, "test.yaml"), []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	p, err := newPlan(cfg, testModels(), testPrograms(t))
	if err != nil {
		t.Fatal(err)
	}
	m, err := ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, again := range m.Remeasured {
		if p.AddBlock(again.Models...); again.Replicate != len(p.Blocks)-1 {
			t.Errorf("block %d measures %v again, after %d", again.Replicate, again.Models, len(p.Blocks)-1)
		}
	}
	if len(m.Remeasured) == 0 {
		t.Error("no block was added: the test is too weak")
	}
	t.Logf("measured again: %+v; %d cells lack undisturbed processes", m.Remeasured, m.DisturbedCells)
	checkComplete(t, p, readRecords(t, dir))
	for _, r := range readRecords(t, dir) {
		if of := map[string]string{"cpu_f32": "", "cpu_f16": "./other"}[r.Backend]; r.Program != of {
			t.Fatalf("%s was measured by program %q, want %q", r.CellID, r.Program, of)
		}
	}
	if rows := readCSV(t, filepath.Join(dir, store.MetricsFile)); len(rows) != 1+len(readRecords(t, dir)) {
		t.Errorf("metrics.csv has %d rows, runs.jsonl %d", len(rows)-1, len(readRecords(t, dir)))
	}
}

// statesFile says what the processes of a run's canaries find, see workertest.EnvStates.
func statesFile(dir string) string { return dir + ".states" }

// killedRound runs the coordinator for a while, kills it or its worker, and
// reports whether it ended by itself.
func killedRound(t *testing.T, random *rand.Rand, dir string, acknowledged, kills map[string]int) bool {
	t.Helper()
	cmd := exec.Command(workertest.Program())
	cmd.Env = append(os.Environ(), workertest.EnvPart+"=coordinator", workertest.EnvRun+"="+dir, workertest.EnvStates+"="+statesFile(dir))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read, lines := make(chan struct{}), make(chan struct{}, 1<<16)
	go func() {
		defer close(read)
		for scan := bufio.NewScanner(stdout); scan.Scan(); {
			acknowledged[scan.Text()]++
			lines <- struct{}{}
		}
	}()
	// A blow falls some calls after the one before, at a random moment of a call
	// or of a worker's start. Mostly workers die: a dead coordinator ends the round.
	killed := false
	for !killed {
		for range random.IntN(12) {
			select {
			case <-lines:
			case <-read:
			}
		}
		time.Sleep(time.Duration(random.IntN(3000)) * time.Microsecond)
		select {
		case <-read:
			killed = true // by nobody: the run is over
			continue
		default:
		}
		if random.IntN(6) == 0 {
			killed = true
			if cmd.Process.Kill() == nil {
				kills["coordinator SIGKILL"]++
			}
			continue
		}
		sig := []syscall.Signal{syscall.SIGKILL, syscall.SIGSEGV, syscall.SIGABRT}[random.IntN(3)]
		if child := childOf(cmd.Process.Pid); child > 0 && syscall.Kill(child, sig) == nil {
			kills["worker "+unix.SignalName(sig)]++
		}
	}
	<-read
	err = cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 {
		t.Fatalf("the coordinator failed: %v\n%s", err, stderr.String())
	}
	return err == nil
}

// childOf finds a process by its parent; 0 if there is none.
func childOf(parent int) int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat := machine.ReadText(filepath.Join("/proc", e.Name(), "stat"))
		_, rest, ok := strings.Cut(stat, ") ")
		fields := strings.Fields(rest)
		if ok && len(fields) > 1 && fields[1] == strconv.Itoa(parent) {
			return pid
		}
	}
	return 0
}

// checkAcknowledged looks for every acknowledged call among the records.
func checkAcknowledged(t *testing.T, dir string, acknowledged map[string]int) {
	t.Helper()
	have := map[string]int{}
	data, err := os.ReadFile(filepath.Join(dir, store.RunsFile))
	if err != nil {
		t.Fatal(err)
	}
	// A killed coordinator may leave a torn line behind, which resuming cuts off;
	// what was acknowledged comes before it.
	whole := data[:strings.LastIndexByte(string(data), '\n')+1]
	for i, r := range parseRecords(t, whole) {
		if r.Mode != record.Modes[i%3] {
			t.Fatalf("record %d is %s: a call lacks a mode", i, r.Mode)
		}
		if r.Mode == record.ModeE2E {
			have[fmt.Sprintf("%s %d.%d %s", r.CellID, r.Replicate, r.CallIdx, r.Status)]++
		}
	}
	for ack, n := range acknowledged {
		if have[ack] < n {
			t.Errorf("%q was acknowledged %d times and is on record %d times", ack, n, have[ack])
		}
	}
}

// complete says whether the last session measured all cells. A SIGKILL that falls together with one that the kernel sent
// for want of memory, to whichever process of the machine, is taken for that: such a cell is not tried again.
func complete(t *testing.T, dir string, oomKills int64) bool {
	t.Helper()
	m, err := ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	if m.CellsByStatus[record.StatusOOM] > 0 && machine.OOMKills() != oomKills {
		t.Skip("the kernel killed processes for want of memory meanwhile")
	}
	return m.RunState == StateCompleted && len(m.CellsByStatus) == 1 && m.CellsByStatus[record.StatusOK] > 0
}
