package snippet

import (
	"bytes"
	"compress/gzip"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/evanw/esbuild/pkg/api"
)

var update = flag.Bool("update", false, "write snippet.js")

// TestBuilt builds snippet.ts and holds it against snippet.js, which is compiled in.
func TestBuilt(t *testing.T) {
	result := api.Build(api.BuildOptions{
		EntryPoints: []string{"snippet.ts"}, Bundle: true, Target: api.ES2017,
		MinifyWhitespace: true, MinifyIdentifiers: true, MinifySyntax: true, Charset: api.CharsetASCII,
		LegalComments: api.LegalCommentsNone,
	})
	if len(result.Errors) > 0 || len(result.Warnings) > 0 {
		t.Fatal(result.Errors, result.Warnings)
	}
	script := result.OutputFiles[0].Contents
	if *update {
		if err := os.WriteFile("snippet.js", script, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if built != string(script) {
		t.Error("snippet.js is not what snippet.ts gives now: run `make snippet`")
	}
}

// TestSize holds the script to its 3 kB.
func TestSize(t *testing.T) {
	script, err := For(strings.Repeat("c", 40))
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	w, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	_, _ = w.Write([]byte(script))
	w.Close()
	if packed.Len() >= 3000 {
		t.Errorf("the script has %d bytes gzipped, it may have less than 3000", packed.Len())
	}
	t.Logf("%d bytes, %d gzipped", len(script), packed.Len())
}

func TestForEscapes(t *testing.T) {
	script, err := For(`"</script>` + "\u2028")
	if err != nil || !strings.Contains(script, `"\"\u003c/script\u003e\u2028"`) || strings.Contains(script, "TIEBACK_CUSTOMER") {
		t.Errorf("%v %s", err, script)
	}
}
