package spool

import (
	"bytes"
	"io"
	"os"
	"syscall"
)

// segmentFile is what a segment needs of a file; tests put in one that fails.
type segmentFile interface {
	io.WriterAt
	io.Closer
	Sync() error
}

// dataFile is synced without its times, which nobody asks for.
type dataFile struct{ *os.File }

func (f dataFile) Sync() error {
	for {
		if err := syscall.Fdatasync(int(f.Fd())); err != syscall.EINTR {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}

func createSegment(path string) (segmentFile, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return dataFile{file}, nil
}

const (
	aheadName  = "ahead"
	aheadBytes = 16 << 20 // of a segment made ahead
	aheadPiece = 1 << 20  // written at once

	// A segment is worth making ahead where so many fsyncs go by with frames of so many
	// bytes on average, or smaller.
	aheadPays  = 128
	smallFrame = 32 << 10
)

// ahead makes the next segment while the open one is written: a file of zeros. Its
// methods are the committer's alone.
//
// An fsync of a file that grows makes its size and the map of its blocks durable as
// well, which takes two to three times as long as the same bytes over others that
// are there. So a segment that sees many small frames is followed by one made ahead;
// few large frames gain nothing by it.
type ahead struct {
	path   string
	bytes  int64
	room   *room
	create func(path string) (segmentFile, error)

	made chan segmentFile // nil while none is being made
	file segmentFile      // nil unless one is ready
}

// begin makes a file, unless there is one or the disk has little room.
func (a *ahead) begin() {
	if a.made != nil || a.ready() || !a.room.ample(2*a.bytes) {
		return
	}
	a.made = make(chan segmentFile, 1)
	go func() {
		file, err := a.fill()
		if err != nil {
			file = nil // a segment that grows will do
		}
		a.made <- file
	}()
}

// fill writes piece by piece, each durable before the next: fsyncs of the open
// segment wait for what the disk was given before.
func (a *ahead) fill() (file segmentFile, err error) {
	if file, err = a.create(a.path); err != nil {
		return nil, err
	}
	zeros := make([]byte, min(a.bytes, aheadPiece))
	for at := int64(0); at < a.bytes && err == nil; at += int64(len(zeros)) {
		if _, err = file.WriteAt(zeros[:min(int64(len(zeros)), a.bytes-at)], at); err == nil {
			err = file.Sync()
		}
	}
	if err != nil {
		file.Close()
		os.Remove(a.path)
	}
	return file, err
}

// ready reports whether there is a file to take.
func (a *ahead) ready() bool {
	select {
	case a.file = <-a.made:
		a.made = nil
	default: // none is made, or not yet
	}
	return a.file != nil
}

// take returns the file, under a name of its own; nil if there is none.
func (a *ahead) take(path string) segmentFile {
	if !a.ready() {
		return nil
	}
	file := a.file
	a.file = nil
	if err := os.Rename(a.path, path); err != nil {
		file.Close()
		os.Remove(a.path)
		return nil
	}
	return file
}

func (a *ahead) close() {
	if a.made != nil {
		a.file = <-a.made
	}
	if a.file != nil {
		a.file.Close()
		os.Remove(a.path)
	}
}

// dataEnd returns where the data of a segment ends: behind its last byte that is not
// zero. That may be a few bytes short of the last frame's end, but not of its start.
func dataEnd(path string) (int64, error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	return endOf(file)
}

func endOf(file *os.File) (int64, error) {
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	const piece = 16 << 10
	buf := make([]byte, min(piece, info.Size()))
	for end := info.Size(); end > 0; end -= int64(len(buf)) {
		buf = buf[:min(int64(len(buf)), end)]
		if _, err := file.ReadAt(buf, end-int64(len(buf))); err != nil {
			return 0, err
		}
		if data := bytes.TrimRight(buf, "\x00"); len(data) > 0 {
			return end - int64(len(buf)-len(data)), nil
		}
	}
	return 0, nil
}
