package record

// ThisMachine is where a warning was seen that is of no fit, cell or model, but of the machine.
const ThisMachine = "this machine"

// Warning is a doubt about figures, with what to do about it.
type Warning struct {
	Code   string `json:"code"`  // stable, for programs: few_sizes, no_power_law, ...
	Where  string `json:"where"` // the fit, cell, model, file:line, or ThisMachine
	Text   string `json:"text"`  // what was seen
	Advice string `json:"advice"`
}

// String is the warning in one line.
func (w Warning) String() string {
	s := w.Text
	if w.Where != "" {
		s = w.Where + ": " + s
	}
	if w.Advice != "" {
		s += " (" + w.Advice + ")"
	}
	return s
}
