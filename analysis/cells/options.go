package cells

import (
	"fmt"
	"slices"

	"llmscale/internal/text"
)

// ParamsLabel is the default axis in a figure.
const ParamsLabel = "total parameters (millions)"

// Axes that Options.XAxis may name. The first is the default.
var sizeAxes = []Axis{
	{"params_total", "million parameters", ParamsLabel, "all parameters, embeddings included: TR121's axis"},
	{"params_non_embedding", "million parameters", "non-embedding parameters (millions)", "parameters less the embedding tables: the ones that every token is multiplied with"},
	{"params_active", "million parameters", "active parameters (millions)", "parameters that take part in one decoded token: of a mixture of experts only those in use"},
	{"bytes_per_token", "MB", "weights read per token (MB)", "weight bytes that one decoded token reads, in 1e6 bytes: it joins size, precision and experts"},
}

// Axes lists what may stand for a model's size, the default first.
func Axes() []Axis { return slices.Clone(sizeAxes) }

// Defaults of Options.
const (
	DefaultBootstrap = 1000
	DefaultSeed      = 42
	maxBootstrap     = 1_000_000 // resamples of each fit: minutes
)

// Check refuses options that Analyze would refuse, before anything has been measured for it.
func (o Options) Check() error {
	_, _, err := o.WithDefaults()
	return err
}

func (o Options) WithDefaults() (Options, Axis, error) {
	if o.Bootstrap == 0 {
		o.Bootstrap = DefaultBootstrap
	}
	if o.Bootstrap > maxBootstrap {
		return o, Axis{}, fmt.Errorf("analysis: %d resamples of the bootstrap; want at most %d", o.Bootstrap, maxBootstrap)
	}
	o.Bootstrap = max(o.Bootstrap, -1)
	if o.Seed == 0 {
		o.Seed = DefaultSeed
	}
	if o.XAxis == "" {
		o.XAxis = sizeAxes[0].Name
	}
	if o.SLO == (Objective{}) {
		o.SLO = DefaultSLO
	}
	if o.SLO.First {
		return o, Axis{}, fmt.Errorf("analysis: objective %s: want a time for each token, as %s; `llmscale predict --slo` has those to the first one", o.SLO, DefaultSLO)
	}
	var names []string
	for _, a := range sizeAxes {
		if a.Name == o.XAxis {
			return o, a, nil
		}
		names = append(names, a.Name)
	}
	if near := text.Nearest(o.XAxis, names); near != "" {
		return o, Axis{}, fmt.Errorf("analysis: no x axis %q; did you mean %s? There are %s", o.XAxis, near, text.List(names, "and"))
	}
	return o, Axis{}, fmt.Errorf("analysis: no x axis %q; there are %s", o.XAxis, text.List(names, "and"))
}

// Options of Analyze. The zero value is what TR121 did.
type Options struct {
	IncludeWarmup bool      `json:"include_warmup"` // false: warm-ups stay out of summaries and fits
	Bootstrap     int       `json:"bootstrap"`      // resamples; 0 means DefaultBootstrap, negative means none
	Seed          uint64    `json:"seed"`           // 0 means DefaultSeed
	XAxis         string    `json:"x_axis"`         // name of an Axis; "" means params_total
	SLO           Objective `json:"slo"`            // time for each token, within which the answer has the largest model; zero means DefaultSLO
	AllCells      bool      `json:"all_cells"`      // false: fits leave out what is INVALID, and AMBIGUOUS where enough is VALID
}

// Axis is a choice of what stands for a model's size.
type Axis struct {
	Name  string `json:"name"`  // params_total, params_non_embedding, params_active or bytes_per_token
	Unit  string `json:"unit"`  // of the values on the axis
	Label string `json:"label"` // for a plot
	Doc   string `json:"doc"`
}
