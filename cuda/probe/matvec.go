package probe

import (
	"encoding/binary"
	"fmt"
	"math"

	"llmscale/cuda"
	"llmscale/cuda/kernels"
	"llmscale/internal/text"
	"llmscale/runner/ceilings"
)

// matvecs measures products of all types and shapes, hot and cold.
func (p *prober) matvecs() error {
	for i, shape := range p.options.Shapes {
		rows, columns := shape[0], shape[1]
		for _, typ := range []string{kernels.F16, kernels.Q8_0, kernels.Q4_0} {
			what := fmt.Sprintf("matvec %s %dx%d", typ, rows, columns)
			p.options.Progress(what)
			if err := kernels.CheckShape(rows, columns); err != nil {
				p.out.NotMeasured[what] = err.Error()
				continue
			}
			err := p.makeFlush()
			if err == nil {
				err = p.matvec(what, typ, rows, columns, uint64(i))
			}
			if freed := p.free(); err == nil {
				err = freed
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *prober) matvec(what, typ string, rows, columns int, seed uint64) error {
	weights := kernels.RandomWeights(typ, rows, columns, seed)
	x := kernels.RandomVector(columns, seed)
	free, _, err := p.dev.MemInfo()
	if err != nil {
		return err
	}
	if int64(len(weights))+64<<20 > free {
		p.out.NotMeasured[what] = fmt.Sprintf("it does not fit: %s of the card's memory are free", text.Size(free))
		return nil
	}
	upload := func(data []byte) (*cuda.Buffer, error) {
		b, err := p.alloc(int64(len(data)))
		if err != nil {
			return nil, err
		}
		return b, b.Upload(data)
	}
	w, err := upload(weights)
	if err != nil {
		return err
	}
	in, err := upload(kernels.LayOut(typ, x))
	if err != nil {
		return err
	}
	nan := make([]byte, 4*rows)
	for i := range rows {
		binary.NativeEndian.PutUint32(nan[4*i:], math.Float32bits(float32(math.NaN())))
	}
	y, err := upload(nan) // a row that is left out does not look right by accident
	if err != nil {
		return err
	}
	kernel, err := p.dev.Kernel("ls_matvec_" + typ)
	if err != nil {
		return err
	}
	const rowsPerBlock = kernels.MatVecThreads / 32
	work := cuda.Work{
		Kernel: kernel, Grid: (rows + rowsPerBlock - 1) / rowsPerBlock, Block: kernels.MatVecThreads,
		Args: []any{w, in, y, uint32(rows), uint32(columns)},
	}
	var results []ceilings.MatVec
	for _, cold := range []bool{false, true} {
		if cold && p.flush == nil {
			continue
		}
		timing := cuda.Timing{Work: work, Passes: p.options.Passes, Warmups: 2}
		if cold {
			timing.Before = p.flush
		}
		times, err := p.dev.Time(timing)
		if err != nil {
			return err
		}
		s := summarize(times.Seconds)
		results = append(results, ceilings.MatVec{
			Type: typ, Rows: rows, Columns: columns, WeightBytes: int64(len(weights)),
			US: s.median * 1e6, BytesPerS: float64(len(weights)) / s.median, Passes: len(times.Seconds), Cold: cold,
			MaxTolerated: kernels.Tolerance,
		})
	}
	answer := make([]byte, 4*rows)
	if err := y.Download(answer); err != nil {
		return err
	}
	got := make([]float32, rows)
	for i := range got {
		got[i] = math.Float32frombits(binary.NativeEndian.Uint32(answer[4*i:]))
	}
	e := kernels.MaxError(got, kernels.MatVec(typ, weights, x, rows, columns))
	if !(e <= kernels.Tolerance) { // NaN too
		p.wrong(what, fmt.Errorf("an entry is off by %.2g of the largest, more than %.2g", e, kernels.Tolerance))
		return nil
	}
	for _, r := range results {
		r.MaxError = e
		p.out.MatVec = append(p.out.MatVec, r)
	}
	return nil
}
