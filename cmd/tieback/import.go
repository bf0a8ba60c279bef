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
	return p.withDB(ctx, func(db *warehouse.DB) (err error) {
		rejects, err := openRejects(i.Rejects)
		if err != nil {
			return err
		}
		epoch, err := db.DeletionEpoch(ctx)
		if err != nil {
			return err
		}
		importer := &history.Importer{
			Into: db, Epoch: epoch, Catalog: catalog.NewStore(db, p.now),
			Reject: func(source string, number int64, reason error) {
				fmt.Fprintf(p.stderr, "%s line %d: %s\n", source, number, strings.ReplaceAll(reason.Error(), "\n", "; "))
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
	fmt.Fprintf(p.stdout, "imported %d lines: %d client events, %d conversions, %d events and optimizations; %d bad\n",
		summary.Lines, summary.ClientEvents, summary.Conversions, summary.Catalog, summary.Bad)
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

// importFile unpacks and reads one file.
func (p *program) importFile(ctx context.Context, importer *history.Importer, path string) error {
	if path == "-" {
		return importer.Read(ctx, "standard input", p.stdin)
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	var r io.Reader = file
	switch {
	case strings.HasSuffix(path, ".gz"):
		unpacked, err := gzip.NewReader(file)
		if err != nil {
			return fmt.Errorf("unpack %s: %w", path, err)
		}
		r = unpacked
	case strings.HasSuffix(path, ".zst"):
		unpacked, err := zstd.NewReader(file)
		if err != nil {
			return fmt.Errorf("unpack %s: %w", path, err)
		}
		defer unpacked.Close()
		r = unpacked
	}
	return importer.Read(ctx, path, r)
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
