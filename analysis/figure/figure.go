package figure

// Drawn is one drawing on disk.
type Drawn struct {
	Kind    string // one of the Kind constants
	Name    string // file name without its extension
	Title   string
	Caption string // plain text, whole sentences
	PNGPath string
	SVGPath string
}
