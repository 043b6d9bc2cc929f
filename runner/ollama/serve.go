package ollama

import (
	"context"
	"errors"

	"llmscale/internal/awake"
	"llmscale/runner/protocol"
)

// Serve is a runner.Serve: it imports file where spec names no model of the server's
// own. release belongs to the coordinator, not to the worker that measures: a worker
// may be killed, and then nobody else would take its model off the server.
func Serve(ctx context.Context, spec protocol.OllamaSpec, file string) (name string, release func() error, err error) {
	defer func() { err = failure(err) }()
	c, err := NewClient(spec.URL.Reveal(), Limits{})
	if err != nil {
		return "", nil, err
	}
	defer func() {
		if err != nil {
			c.Close()
		}
	}()
	if _, err := c.Version(ctx); err != nil { // is it there at all?
		return "", nil, err
	}
	name = spec.Model
	var imported *Imported
	if name == "" {
		if imported, err = Import(ctx, c, file, spec.SHA256); err != nil {
			return "", nil, err
		}
		name = imported.Name
	}
	return name, func() error {
		defer c.Close()
		ctx, cancel := awake.WithTimeout(context.Background(), c.limits.Small)
		defer cancel()
		err := c.Unload(ctx, name)
		if notFound(err) { // somebody deleted the model, and with that unloaded it
			err = nil
		}
		return failure(errors.Join(err, imported.Close()))
	}, nil
}
