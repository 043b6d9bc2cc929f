package gguf

import (
	"os"

	"golang.org/x/sys/unix"
)

// startWriteback asks the system to begin writing a range of the file to the disk, without waiting for it. It is
// a hint: a file system that cannot do it changes nothing but the time that Finish takes.
func startWriteback(f *os.File, offset, size int64) {
	_ = unix.SyncFileRange(int(f.Fd()), offset, size, unix.SYNC_FILE_RANGE_WRITE)
}
