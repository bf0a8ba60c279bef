package dashboards_test

import (
	"os"
	osexec "os/exec"
	"regexp"
	"strings"
	"testing"
)

// TestPrometheusAlerts has promtool read the alerts for Prometheus, and fire each; all that they ask for is shown on /metrics.
func TestPrometheusAlerts(t *testing.T) {
	rules, err := os.ReadFile("prometheus/tieback.yml")
	if err != nil {
		t.Fatal(err)
	}
	shown := ""
	for _, file := range []string{"../ingest/metrics.go", "../cmd/tieback/nightfigures.go"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		shown += string(text)
	}
	for _, name := range regexp.MustCompile(`\btieback_[a-z_]+`).FindAllString(string(rules), -1) {
		if !strings.Contains(shown, `"`+name+`"`) {
			t.Errorf("nothing shows %s", name)
		}
	}
	promtool, err := osexec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed: apt-get install prometheus")
	}
	for _, args := range [][]string{{"check", "rules", "prometheus/tieback.yml"}, {"test", "rules", "testdata/prometheus.yml"}} {
		if said, err := osexec.Command(promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, said)
		}
	}
}
