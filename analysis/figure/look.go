package figure

// Look is how a layer is drawn. Its colour is a role, for which a drawer has colours.
type Look struct {
	Color    Color     `json:"color"`
	Shape    Shape     `json:"shape,omitempty"`     // of points
	WidthPt  float64   `json:"width_pt,omitempty"`  // of lines, in points; 0: 1.1
	DashesPt []float64 `json:"dashes_pt,omitempty"` // dash and gap, in points; none: a solid line
}

// Color is what a colour says.
type Color struct {
	Role  Role `json:"role"`
	Index int  `json:"index,omitempty"` // of a series, or along a ramp
	Of    int  `json:"of,omitempty"`    // length of the ramp
}

// Role of a colour.
type Role string

// Roles.
const (
	RoleSeries Role = "series" // tells things apart that have no order
	RoleRamp   Role = "ramp"   // tells things in order apart: dark is first
	RoleMuted  Role = "muted"  // stands behind
	RoleInk    Role = "ink"    // as text
)

// Shape of points.
type Shape string

// Shapes.
const (
	Circle   Shape = "circle"
	Square   Shape = "square"
	Triangle Shape = "triangle"
	Diamond  Shape = "diamond"
	Cross    Shape = "cross"
)

var shapes = []Shape{Circle, Square, Triangle, Diamond, Cross}

// Series is the look of the i-th of several things without an order. Its shape and
// its colour repeat after different numbers, so that both together repeat late.
func Series(i int) Look {
	i = max(i, 0)
	return Look{Color: Color{Role: RoleSeries, Index: i}, Shape: shapes[i%len(shapes)]}
}

// Ramp is the look of the i-th of n things in order, such as models by size.
func Ramp(i, n int) Look { return Look{Color: Color{RoleRamp, i, n}, Shape: Circle} }

// Muted is the look of what stands behind.
func Muted() Look { return Look{Color: Color{Role: RoleMuted}, Shape: Circle} }

// Ink is the look of text.
func Ink() Look { return Look{Color: Color{Role: RoleInk}, Shape: Circle} }

// Stroke is the look with lines of a width, and dashes and gaps of lengths, all in
// points. Without dashes, lines are solid.
func (l Look) Stroke(widthPt float64, dashesPt ...float64) Look {
	l.WidthPt, l.DashesPt = widthPt, dashesPt
	return l
}
