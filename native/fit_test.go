package native

import (
	"errors"
	"testing"
)

func TestFitLayers(t *testing.T) {
	const perLayer, fixed = 100, 50
	need := func(layers int) (int64, error) { return int64(layers*perLayer + fixed), nil }
	for _, c := range []struct {
		budget int64
		want   int
	}{
		{-1, 0}, {0, 0}, {149, 0}, {150, 1}, {249, 1}, {250, 2}, {1649, 15}, {1650, 16}, {1749, 16}, {1 << 40, 16},
	} {
		got, err := fitLayers(16, c.budget, need)
		if err != nil || got != c.want {
			t.Errorf("%d bytes: %d layers, %v, want %d", c.budget, got, err, c.want)
		}
	}
	// The head costs nothing more than the copy that it replaces.
	headless := func(layers int) (int64, error) { return int64(min(layers, 15)*perLayer + fixed - layers/16), nil }
	if got, err := fitLayers(16, 1549, headless); err != nil || got != 16 {
		t.Errorf("with a head that is cheaper on the GPU %d layers fit, %v, want 16", got, err)
	}
	broken := errors.New("broken")
	if _, err := fitLayers(16, 1000, func(layers int) (int64, error) {
		if layers > 4 {
			return 0, broken
		}
		return 0, nil
	}); !errors.Is(err, broken) {
		t.Errorf("a reckoning that fails gives %v", err)
	}
}
