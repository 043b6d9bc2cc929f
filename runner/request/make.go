package request

import (
	"context"
	"errors"
	"slices"

	"llmscale/configs"
	"llmscale/internal/text"
	"llmscale/runner/config"
	"llmscale/runner/sources"
)

// Make finds the models of the arguments, or where there are none, those that lie on this machine; leaves out what cannot be
// measured, which it tells; and returns the config of the rest. Where there is no model, that is the default sweep's, which
// has the name of its file.
func (q *Request) Make(ctx context.Context, args []string, h Host) (*config.Config, error) {
	var found sources.Found
	var err error
	if len(args) == 0 {
		found = sources.Usual()
	}
	anywhere := len(found.Models) > 0
	if len(args) == 0 && !anywhere {
		for _, l := range found.LeftOut {
			h.Note(l.String())
		}
		what := "this is the default sweep, of GPT-2 shapes with random weights"
		if len(q.Values) > 0 || q.Quick {
			what = "the default sweep's models, GPT-2 shapes with random weights, are measured as the flags say"
		}
		h.Note("no model was found in " + text.List(found.Places, "or") + ": " + what)
		cfg, err := q.defaultConfig()
		if err != nil || len(q.Values) == 0 && !q.Quick {
			return cfg, err
		}
		for _, m := range cfg.Models {
			args = append(args, m.Source)
		}
	}
	if !anywhere {
		if found, err = sources.Named(args); err != nil {
			return nil, err
		}
	}
	if q.Models = found.Models; q.MaxParams != nil {
		q.Models = slices.DeleteFunc(slices.Clone(q.Models), func(m sources.Model) bool { return m.Params > *q.MaxParams })
		if len(q.Models) == 0 {
			return nil, errors.New("no model has so few parameters: choose a larger --max-params")
		}
	}
	left, err := q.Choose(ctx, h)
	if err != nil {
		return nil, err
	}
	found.Models, found.LeftOut = q.Models, append(found.LeftOut, left...)
	if len(found.LeftOut) > 0 || slices.ContainsFunc(q.Models, func(m sources.Model) bool { return !m.Chosen }) {
		for _, line := range found.List() {
			h.Note(line)
		}
	}
	if anywhere && !q.Quick {
		h.Note("no model was named, so these are measured; --quick takes two minutes, and an interrupted run keeps what it has")
	}
	return q.Config()
}

func (q *Request) defaultConfig() (*config.Config, error) {
	if q.values("device")[0] == config.DeviceCUDA {
		return config.ParseAt("scaling-gpu.yaml", q.Dir, configs.ScalingGPU)
	}
	return config.ParseAt("scaling.yaml", q.Dir, configs.Scaling)
}
