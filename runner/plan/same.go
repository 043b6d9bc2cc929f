package plan

import (
	"fmt"
	"strings"

	"llmscale/runner/config"
	"llmscale/runner/protocol"
)

// sameWork has the backends that lists made, as the config has them, by the model, the entry with the lists, and
// what the worker is told to load, and the worker's program.
type sameWork map[[4]string]config.Backend

// check refuses a job that loads the very thing that an earlier one of the same model and lists loads: what the names
// say differs would not. b is the job's backend before this machine filled it in.
func (s sameWork) check(cfg *config.Config, job *Job, b config.Backend, program string) error {
	if b.Group == "" || job.Refused != nil {
		return nil
	}
	key := [4]string{job.Model.Name, b.Group, job.Load.Identity(), program}
	if other, ok := s[key]; ok {
		return cfg.SameWork(other, b, cameTo(other, b, &job.Load, job.Model.Name))
	}
	s[key] = b
	return nil
}

// cameTo says what became of the values in which two backends differ, and why.
func cameTo(a, b config.Backend, load *protocol.LoadSpec, model string) string {
	keys, values := config.Differing(a, b)
	var out []string
	for _, key := range keys {
		became := ""
		switch key {
		case "dtype":
			became = "change nothing, because model " + model + " keeps the types of its file"
		case "threads":
			became = fmt.Sprintf("are both %d threads, of which 0 takes one for each core", load.Threads)
		case "threads_batch":
			became = fmt.Sprintf("are both %d threads, of which 0 takes as many as decode has", load.ThreadsBatch)
		case "batch_tokens":
			became = fmt.Sprintf("both become %d, all of the context of %d tokens", load.NBatch, load.NCtx*load.Batch())
		case "ubatch_tokens":
			became = fmt.Sprintf("both become %d, all of the batch", load.NUBatch)
		case "program":
			became = "are one program: their files are equal"
		default: // is in the load as it was written
			became = "make no difference to a " + load.Kind + " backend"
		}
		out = append(out, fmt.Sprintf("%s %s and %s %s", key, values[key][0], values[key][1], became))
	}
	return strings.Join(out, "; ")
}
