package memlimit

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"llmscale/internal/text"
)

// sample is how much of a file is read to see how fast the disk is.
const sample = 64 << 20

// Drop takes files out of memory, so that a group that reads them is charged for them: pages that are in memory already
// cost it nothing. It returns how fast the first 64 MiB of the first one came from the disk before that, in bytes each
// second. The error says which file stays in memory.
func Drop(paths []string) (bytesPerS float64, err error) {
	for i, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return 0, err
		}
		defer f.Close()
		if err := drop(f); err != nil {
			return 0, err
		}
		if i == 0 {
			if bytesPerS, err = readingSpeed(f); err != nil {
				return 0, err
			}
			if err := drop(f); err != nil {
				return 0, err
			}
		}
	}
	return bytesPerS, nil
}

func readingSpeed(f *os.File) (float64, error) {
	buffer := make([]byte, 1<<20)
	start, sum := time.Now(), 0
	for sum < sample {
		n, err := f.Read(buffer)
		sum += n
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, err
		}
	}
	return float64(sum) / time.Since(start).Seconds(), nil
}

func drop(f *os.File) error {
	if err := f.Sync(); err != nil { // what is not written yet is not dropped
		return err
	}
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		return fmt.Errorf("%s: it cannot be dropped from memory: %w", f.Name(), err)
	}
	if left, size := inMemory(f); left > size/100 {
		return fmt.Errorf("%s: %s of it stay in memory, where no limit counts them: another program has it mapped, or its file system lies in memory; end that program, or put the model on a disk",
			f.Name(), text.Size(left))
	}
	return nil
}

// inMemory is how much of a file of that size is in memory, in bytes; 0 where the system does not tell: before Linux 6.5, or
// of a file that this process may not write.
func inMemory(f *os.File) (left, size int64) {
	info, err := f.Stat()
	if err != nil {
		return 0, 0
	}
	var stat unix.Cachestat_t
	if err := unix.Cachestat(uint(f.Fd()), &unix.CachestatRange{}, &stat, 0); err != nil {
		return 0, info.Size()
	}
	return int64(stat.Cache) * int64(os.Getpagesize()), info.Size()
}
