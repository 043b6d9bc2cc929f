package runner

import (
	"llmscale/runner/files"
	"llmscale/runner/record"
)

// failure gives an error of the job's worker a status. Of a worker that crashed it says whether the model's files have
// changed: a mapped file that is cut ends whoever reads it.
func (j *Job) failure(err error) *record.Failure {
	f := record.AsFailure(err)
	if f.Status == record.StatusCrashed {
		if changed := files.Check(j.Load.Files); changed != nil {
			f.Reason += "; " + record.AsFailure(changed).Reason
		}
	}
	return f
}
