package history

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
)

// rowReader reads the records of a table, of which most are a line without quotation marks. One may go on over several lines
// between such marks, up to maxLineBytes.
type rowReader struct {
	reader    *bufio.Reader
	end       byte // of a line: \n, or \r in files of old Macs
	delimiter rune

	ahead [][]byte // lines that were read and belong to later records
	line  int64    // of the record that comes next
	lines [][]byte // of the record returned last
}

// errReading says that the file can't be read on; other errors are of a record.
var errReading = errors.New("the file can't be read on")

// newRowReader begins where the text starts with start.
func newRowReader(reader *bufio.Reader, start []byte) rowReader {
	r := rowReader{reader: reader, end: '\n', delimiter: ',', line: 1}
	if bytes.IndexByte(start, '\n') < 0 && bytes.IndexByte(bytes.TrimRight(start, "\r"), '\r') >= 0 {
		r.end = '\r'
	}
	head, _, _ := strings.Cut(string(start), string(r.end))
	for _, delimiter := range ";\t" {
		if strings.Count(head, string(delimiter)) > strings.Count(head, string(r.delimiter)) {
			r.delimiter = delimiter
		}
	}
	return r
}

// next returns the next record that is not empty, its text and the number of its first line. The text holds until the next call.
func (r *rowReader) next() (record []string, raw []byte, line int64, err error) {
	for {
		r.line += int64(len(r.lines))
		r.lines = r.lines[:0]
		text, err := r.take()
		if err != nil {
			return nil, nil, r.line, err
		}
		if len(bytes.TrimSpace(text)) == 0 {
			continue
		}
		size, open := len(text), bytes.Count(text, []byte{'"'})%2 == 1
		for open && size <= maxLineBytes {
			more, err := r.take()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, nil, r.line, err
			}
			size += len(more)
			open = bytes.Count(more, []byte{'"'})%2 == 0
		}
		raw = bytes.Join(r.lines, nil)
		switch {
		case size > maxLineBytes && len(r.lines) == 1:
			err = fmt.Errorf("longer than %d bytes", maxLineBytes)
		case open:
			err = fault{"open quote", "a quotation mark is not closed, or stands where it should be doubled"}
		default:
			record, err = r.split(raw)
		}
		return record, raw, r.line, err
	}
}

// take returns the next line with its end, and counts it to the record. One that is longer than maxLineBytes is cut short.
func (r *rowReader) take() ([]byte, error) {
	if len(r.ahead) > 0 {
		text := r.ahead[0]
		r.ahead = r.ahead[1:]
		r.lines = append(r.lines, text)
		return text, nil
	}
	text, err := r.reader.ReadSlice(r.end)
	text = bytes.Clone(text)
	for errors.Is(err, bufio.ErrBufferFull) {
		var more []byte
		more, err = r.reader.ReadSlice(r.end)
		if len(text) <= maxLineBytes {
			text = append(text, more...)
		}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: %w", errReading, err)
	}
	if len(text) == 0 {
		return nil, io.EOF
	}
	r.lines = append(r.lines, text)
	return text, nil
}

// onlyFirst gives up the record returned last but for its first line, which it returns: the others are read again.
func (r *rowReader) onlyFirst(raw []byte) []byte {
	if len(r.lines) < 2 {
		return raw
	}
	first := r.lines[0]
	r.ahead = append(append([][]byte{}, r.lines[1:]...), r.ahead...)
	r.lines = [][]byte{first}
	return first
}

func (r *rowReader) split(raw []byte) ([]string, error) {
	text := strings.TrimRight(string(raw), "\r\n")
	if !strings.Contains(text, `"`) {
		return strings.Split(text, string(r.delimiter)), nil
	}
	reader := csv.NewReader(strings.NewReader(text))
	reader.Comma, reader.FieldsPerRecord = r.delimiter, -1
	record, err := reader.Read()
	var wrong *csv.ParseError
	if errors.As(err, &wrong) {
		return nil, fault{wrong.Err.Error(), fmt.Sprintf("not readable as CSV: %v (column %d)", wrong.Err, wrong.Column)}
	}
	return record, err
}
