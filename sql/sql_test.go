package sql_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestEveryReportIsAsked looks for the names of the reports and results in the code.
func TestEveryReportIsAsked(t *testing.T) {
	var code strings.Builder
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		code.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"reports", "results"} {
		files, err := filepath.Glob(folder + "/*.sql")
		if err != nil || len(files) == 0 {
			t.Fatalf("no files in %s (%v)", folder, err)
		}
		for _, file := range files {
			if name := strings.TrimSuffix(filepath.Base(file), ".sql"); !strings.Contains(code.String(), `"`+name+`"`) {
				t.Errorf("nothing asks %s", file)
			}
		}
	}
}
