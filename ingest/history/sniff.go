package history

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// ErrNotLines says that a file is not what an import reads, by its first bytes.
var ErrNotLines = errors.New("not a file that can be imported")

func notLines(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrNotLines, fmt.Sprintf(format, args...))
}

// Packing names how a file is packed, by its first bytes: gzip, zstd, or nothing.
func Packing(start []byte) string {
	switch {
	case bytes.HasPrefix(start, []byte("\x1f\x8b")):
		return "gzip"
	case bytes.HasPrefix(start, []byte("\x28\xb5\x2f\xfd")):
		return "zstd"
	default:
		return ""
	}
}

// looksWrong says what a file is that begins like this, where it is neither lines of JSON nor
// an array, or no table where csv is set: once for the whole file instead of once a line.
func looksWrong(start []byte, csv bool) error {
	switch packing := Packing(start); {
	case packing == "gzip":
		return notLines("it is packed with gzip: give it a name that ends in .gz")
	case packing == "zstd":
		return notLines("it is packed with zstd: give it a name that ends in .zst")
	case bytes.HasPrefix(start, []byte("PK\x03\x04")):
		return notLines("it is a zip archive, as .xlsx files are: unpack it, or save the sheet as CSV")
	case isUTF16(start):
		return notLines("its text is UTF-16 or UTF-32, as PowerShell's > writes it: convert it with `iconv -f UTF-16 -t UTF-8`, or write it with `Out-File -Encoding utf8`")
	case bytes.IndexByte(start, 0) >= 0:
		if text := bytes.TrimSpace(start); !csv && len(text) > 0 && text[0] == '{' {
			return nil // zeros where a disk lost what was written: bad lines of a good file
		}
		return notLines("it is not text: it begins with %q", start[:min(len(start), 16)])
	}
	first, _, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(string(start), "\uFEFF")), "\n")
	switch {
	case first == "":
		return nil
	case first[0] == '{' || first[0] == '[':
		if csv {
			return notLines("it looks like JSON, and is named or given as CSV")
		}
		return nil
	}
	if !utf8.ValidString(first) && len(first) < len(start)-utf8.UTFMax {
		return notLines("its text is not UTF-8: it begins with %q", first[:min(len(first), 40)])
	}
	if !csv && strings.ContainsAny(first, ",;\t") && isHeader(first) {
		return notLines("it looks like CSV, with the header %q: give --csv, or a name that ends in .csv", first[:min(len(first), 80)])
	}
	return nil
}

// isUTF16 reports whether a text has the mark of UTF-16 or UTF-32, or every second byte is 0.
func isUTF16(start []byte) bool {
	if bytes.HasPrefix(start, []byte("\xff\xfe")) || bytes.HasPrefix(start, []byte("\xfe\xff")) || bytes.HasPrefix(start, []byte("\x00\x00\xfe\xff")) {
		return true
	}
	return len(start) >= 4 && (start[0] != 0 && start[1] == 0 && start[2] != 0 && start[3] == 0 || start[0] == 0 && start[1] != 0 && start[2] == 0 && start[3] != 0)
}

// isHeader reports whether a line names fields of the format, or at least nothing but words.
func isHeader(line string) bool {
	words := strings.FieldsFunc(line, func(r rune) bool { return r == ',' || r == ';' || r == '\t' })
	for _, word := range words {
		word = strings.Trim(strings.TrimSpace(word), `"`)
		if strings.ContainsAny(word, "{}[]:") {
			return false
		}
	}
	return len(words) > 1
}
