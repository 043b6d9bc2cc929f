package runner

import (
	"fmt"
	"reflect"
	"strings"

	"llmscale/runner/config"
)

// checkSame refuses a job that loads the very thing that an earlier one of the same model loads, if lists made both:
// what the names say differs would not. b is the job's backend as the config has it, written are those of p's jobs.
func (p *Plan) checkSame(job *Job, b config.Backend, written []config.Backend) error {
	if b.Group == "" || job.Refused != nil {
		return nil
	}
	for i := range p.Jobs {
		other := &p.Jobs[i]
		if other.Model.Name == job.Model.Name && written[i].Group == b.Group && other.Refused == nil && reflect.DeepEqual(other.Load, job.Load) {
			return p.Config.SameWork(written[i], b, cameTo(written[i], b, &job.Load, job.Model.Name))
		}
	}
	return nil
}

// cameTo says what became of the values in which two backends differ, and why.
func cameTo(a, b config.Backend, load *LoadSpec, model string) string {
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
			became = fmt.Sprintf("both become %d, all of the context of %d tokens", load.NBatch, load.NCtx)
		case "ubatch_tokens":
			became = fmt.Sprintf("both become %d, all of the batch", load.NUBatch)
		default: // is in the load as it was written
			became = "make no difference to a " + load.Kind + " backend"
		}
		out = append(out, fmt.Sprintf("%s %s and %s %s", key, values[key][0], values[key][1], became))
	}
	return strings.Join(out, "; ")
}
