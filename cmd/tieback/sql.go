package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/mattn/go-isatty"

	"github.com/tieback/tieback/warehouse"
)

type sqlCmd struct {
	Statement string `arg:"" help:"Any statement of ClickHouse's SQL, in the database tieback."`
	Format    string `placeholder:"FORMAT" help:"ClickHouse format of the result, as JSONEachRow, CSVWithNames or Vertical. PrettyCompact on a terminal and TabSeparatedWithNames elsewhere, if not given."`
}

func (s *sqlCmd) Run(ctx context.Context, p *program) error {
	if strings.TrimSpace(s.Statement) == "" {
		return usagef("the statement is empty")
	}
	format, out := s.Format, p.rawOut
	if isTerminal(out) {
		out = p.stdout // a person reads it
	}
	if format == "" {
		format = "TabSeparatedWithNames"
		if isTerminal(p.rawOut) {
			format = "PrettyCompactMonoBlock"
		}
	}
	return p.withDB(ctx, func(db *warehouse.DB) error {
		result, err := db.Format(ctx, format, s.Statement)
		if err != nil {
			return err
		}
		_, err = io.Copy(out, result)
		if err = errors.Join(err, result.Close()); err != nil {
			return fmt.Errorf("read the result: %w", err)
		}
		return nil
	})
}

// isTerminal reports whether a person watches w.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && isatty.IsTerminal(file.Fd())
}
