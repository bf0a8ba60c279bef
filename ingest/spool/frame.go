package spool

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

const (
	frameMagic  = 0x314b4254 // "TBK1"
	headerBytes = 12

	// maxFrameBytes bounds what a reader must hold; a group is cut below it.
	maxFrameBytes = 16 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errTorn says that a frame's bytes end before the frame does, errCorrupt that they
// are not what was written.
var (
	errTorn    = errors.New("frame ends early")
	errCorrupt = errors.New("frame is damaged")
)

// newFrame begins a frame in buf's memory.
func newFrame(buf []byte) []byte {
	var header [headerBytes]byte
	return append(buf[:0], header[:]...)
}

// appendRecord adds a record to a frame.
func appendRecord(frame, record []byte) []byte {
	frame = binary.AppendUvarint(frame, uint64(len(record)))
	return append(frame, record...)
}

// seal writes the header of a frame that is complete.
func seal(frame []byte) {
	payload := frame[headerBytes:]
	binary.LittleEndian.PutUint32(frame, frameMagic)
	binary.LittleEndian.PutUint32(frame[4:], uint32(len(payload)))
	binary.LittleEndian.PutUint32(frame[8:], crc32.Checksum(payload, castagnoli))
}

// parseFrame appends the records of the frame at the start of data to before; they
// alias data. It returns the frame's size, too.
func parseFrame(before [][]byte, data []byte) (records [][]byte, size int, err error) {
	if len(data) < headerBytes {
		return before, 0, errTorn
	}
	if binary.LittleEndian.Uint32(data) != frameMagic {
		return before, 0, errCorrupt
	}
	length := int(binary.LittleEndian.Uint32(data[4:]))
	if length > maxFrameBytes {
		return before, 0, errCorrupt
	}
	if len(data) < headerBytes+length {
		return before, 0, errTorn
	}
	payload := data[headerBytes : headerBytes+length]
	if crc32.Checksum(payload, castagnoli) != binary.LittleEndian.Uint32(data[8:]) {
		return before, 0, errCorrupt
	}
	records = before
	for len(payload) > 0 {
		n, k := binary.Uvarint(payload)
		if k <= 0 || n > uint64(len(payload)-k) {
			return before, 0, errCorrupt
		}
		records = append(records, payload[k:k+int(n)])
		payload = payload[k+int(n):]
	}
	return records, headerBytes + length, nil
}
