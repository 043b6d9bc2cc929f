package draw

import (
	"fmt"
	"io"
	"runtime"
	"sync"

	"llmscale/gguf"
)

// chunkBytes is how much is made and written at a time at most: enough that handing it on costs nothing, and it
// fits the second-level cache between being made and being written.
const chunkBytes = 1 << 20

// chunkWeights returns how many weights of t are in a chunk, a multiple of grain.
func chunkWeights(t gguf.Type) int64 {
	size, err := t.RowBytes(grain)
	if err != nil {
		panic(fmt.Sprintf("draw: %v", err)) // makers has types of which grain is whole blocks
	}
	return chunkBytes / size * grain
}

// chunk is a piece of one tensor on its way from the workers to the file.
type chunk struct {
	tensor int
	maker  maker
	key    uint64
	first  int64  // index of its first weight
	buf    []byte // of chunkBytes; reused
	size   int    // bytes used of buf
	made   chan struct{}
}

// Stream makes the tensors on all cores and writes them to w in order. The tensors must be those that w was created
// with. progress, if not nil, is called from the same goroutine with bytes of tensor data.
//
// A tensor whose type cannot be drawn, or cannot hold the standard deviation or the mean asked for, is an error
// before anything is written; it names the tensor and the type.
//
// Each chunk goes to the workers and, in file order, to the writer, which waits until it is made; a fixed set of
// chunks goes round, so memory does not grow with the model.
func Stream(w *gguf.Writer, ts []Tensor, seed uint64, progress func(doneBytes, totalBytes int64)) error {
	made, err := newMakers(ts)
	if err != nil {
		return err
	}
	total := int64(0)
	for _, t := range ts {
		total += bytesOf(t, elements(t))
	}
	workers := runtime.GOMAXPROCS(0)
	n := 2*workers + 2
	free := make(chan *chunk, n)
	work := make(chan *chunk, n)
	ordered := make(chan *chunk, n)
	stop := make(chan struct{})
	for range n {
		free <- &chunk{buf: make([]byte, chunkBytes), made: make(chan struct{}, 1)}
	}
	var running sync.WaitGroup
	defer running.Wait()
	defer close(stop)

	running.Go(func() {
		defer close(work)
		defer close(ordered)
		for i, t := range ts {
			m, key := made[lookOf(t)], streamKey(seed, t.Name)
			if t.Values != nil {
				m = given(t.Values)
			}
			step := chunkWeights(t.Type)
			for first, all := int64(0), elements(t); first < all; first += step {
				var c *chunk
				select {
				case c = <-free:
				case <-stop:
					return
				}
				c.tensor, c.maker, c.key, c.first = i, m, key, first
				c.size = int(bytesOf(t, min(step, all-first)))
				work <- c // neither can block: there are as many places as chunks
				ordered <- c
			}
		}
	})
	for range workers {
		running.Go(func() {
			for c := range work {
				c.maker.fill(c.buf[:c.size], c.key, c.first)
				c.made <- struct{}{}
			}
		})
	}

	done, open := int64(0), -1
	var out io.Writer
	for c := range ordered {
		<-c.made
		if c.tensor != open {
			open = c.tensor
			var err error
			if out, err = w.Tensor(ts[open].Name); err != nil {
				return err
			}
		}
		if _, err := out.Write(c.buf[:c.size]); err != nil {
			return err
		}
		done += int64(c.size)
		free <- c
		if progress != nil {
			progress(done, total)
		}
	}
	return nil
}

// look is what tensors of one maker have in common: a model has few of them, so their tables are made once.
type look struct {
	typ       gguf.Type
	mean, std float64
}

func lookOf(t Tensor) look { return look{t.Type, t.Mean, t.Std} }

func newMakers(ts []Tensor) (map[look]maker, error) {
	all := map[look]maker{}
	for _, t := range ts {
		if err := check(t); err != nil {
			return nil, err
		}
		if t.Values != nil || all[lookOf(t)] != nil {
			continue
		}
		m, err := makers[t.Type](t.Mean, t.Std)
		if err != nil {
			return nil, failed(t, err)
		}
		all[lookOf(t)] = m
	}
	return all, nil
}

func elements(t Tensor) int64 {
	n := int64(1)
	for _, d := range t.Dims {
		n *= d
	}
	return n
}

// bytesOf returns the size of n weights of the tensor, which are whole blocks by construction.
func bytesOf(t Tensor, n int64) int64 {
	size, err := t.Type.RowBytes(n)
	if err != nil {
		panic(fmt.Sprintf("draw: %s: %v", t.Name, err))
	}
	return size
}
