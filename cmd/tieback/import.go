package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/human"
	"github.com/tieback/tieback/ingest/history"
	"github.com/tieback/tieback/warehouse"
)

type importCmd struct {
	Files   []string `arg:"" name:"file" help:"NDJSON files; - is standard input."`
	Rejects string   `placeholder:"FILE" help:"Write the bad lines to this file."`
}

// errBadLines makes the exit code 1; the lines themselves were told already.
var errBadLines = errors.New("")

func (i *importCmd) Run(ctx context.Context, p *program) error {
	for _, file := range i.Files { // before anything is loaded
		if file == "-" {
			continue
		}
		info, err := os.Stat(file)
		if err != nil {
			return fmt.Errorf("nothing was imported: %w", err)
		}
		if rejects, err := os.Stat(i.Rejects); err == nil && os.SameFile(info, rejects) {
			return usagef("nothing was imported: --rejects %s would overwrite %s; name another file", i.Rejects, file)
		}
	}
	return p.adding(ctx, func(db *warehouse.DB) (err error) {
		rejects, err := openRejects(i.Rejects)
		if err != nil {
			return err
		}
		epoch, err := db.DeletionEpoch(ctx)
		if err != nil {
			return err
		}
		known, err := db.NewHistory(ctx)
		if err != nil {
			return err
		}
		importer := &history.Importer{
			Into: db, Known: known, Epoch: epoch, Catalog: catalog.NewStore(db, p.now),
			Reject: func(where string, reason error) {
				fmt.Fprintf(p.stderr, "%s: %s\n", where, strings.ReplaceAll(reason.Error(), "\n", "; "))
			},
			Rejects: rejects, // its error comes with Flush
			Tell:    p.importProgress(),
		}
		return i.load(ctx, p, importer, rejects)
	})
}

// load reads the files. A file that can't be read to its end stops it; what was read
// before is loaded and told all the same.
func (i *importCmd) load(ctx context.Context, p *program, importer *history.Importer, rejects *bufio.Writer) error {
	var readErr error
	for _, file := range i.Files {
		if readErr = p.importFile(ctx, importer, file); readErr != nil {
			break
		}
	}
	summary, err := importer.Finish(ctx)
	if flushErr := rejects.Flush(); flushErr != nil {
		err = errors.Join(err, fmt.Errorf("write the rejects: %w", flushErr))
	}
	if err != nil {
		return errors.Join(readErr, err)
	}
	for _, warning := range importer.Warnings() {
		fmt.Fprintf(p.stderr, "%s: %s\n", human.Count(warning.Lines, "line"), warning.Text)
	}
	known := ""
	if summary.Known > 0 {
		known = fmt.Sprintf(", %d of them known already", summary.Known)
	}
	fmt.Fprintf(p.stdout, "imported %s%s: %d client events, %d conversions, %d events and optimizations; %d bad\n",
		human.Count(summary.Lines, "line"), known, summary.ClientEvents, summary.Conversions, summary.Catalog, summary.Bad)
	if readErr == nil && summary.Bad > 0 {
		return errBadLines
	}
	return readErr
}

func openRejects(path string) (*bufio.Writer, error) {
	if path == "" {
		return bufio.NewWriter(io.Discard), nil
	}
	file, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("create the file of rejects: %w", err)
	}
	return bufio.NewWriter(file), nil // closed by the end of the process
}

// importFile unpacks and reads one file. Standard input has no name that says how it is packed,
// so its first bytes do.
func (p *program) importFile(ctx context.Context, importer *history.Importer, path string) error {
	name, r := "standard input", p.stdin
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		name, r = path, file
	}
	buffered := bufio.NewReader(r)
	start, err := buffered.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	packing := packingOf(path)
	switch found := history.Packing(start); {
	case path == "-":
		packing = found
	case packing != "" && packing != found:
		return fmt.Errorf("%s is not %s by its first bytes, as its name says: rename it, or make it again", name, packing)
	}
	unpacked, err := unpack(packing, buffered)
	if err != nil {
		return fmt.Errorf("unpack %s: %w", name, err)
	}
	defer unpacked.Close()
	return importer.Read(ctx, name, unpacked)
}

// packingOf is how a file is packed by its name.
func packingOf(path string) string {
	switch {
	case strings.HasSuffix(path, ".gz"):
		return "gzip"
	case strings.HasSuffix(path, ".zst"):
		return "zstd"
	default:
		return ""
	}
}

func unpack(packing string, r io.Reader) (io.ReadCloser, error) {
	switch packing {
	case "gzip":
		return gzip.NewReader(r)
	case "zstd":
		unpacked, err := zstd.NewReader(r)
		if err != nil {
			return nil, err
		}
		return unpacked.IOReadCloser(), nil
	default:
		return io.NopCloser(r), nil
	}
}

// progressInterval is how often a long import tells how far it is.
const progressInterval = 5 * time.Second

// importProgress rewrites one line in a terminal and writes plain lines elsewhere.
func (p *program) importProgress() func(history.Summary) {
	started, last := time.Now(), time.Now()
	return func(s history.Summary) {
		interval, form := progressInterval, "%d lines, %.0f a second\n"
		if isTerminal(p.rawErr) {
			interval, form = progressInterval/20, "\r\033[K%d lines, %.0f a second\r"
		}
		if time.Since(last) < interval {
			return
		}
		last = time.Now()
		fmt.Fprintf(p.rawErr, form, s.Lines, float64(s.Lines)/time.Since(started).Seconds())
	}
}
