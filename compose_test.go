package tieback_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

func loadCompose(t *testing.T, environment ...string) (*types.Project, error) {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{"docker-compose.yml"}, cli.WithEnv(environment))
	if err != nil {
		t.Fatal(err)
	}
	return options.LoadProject(t.Context())
}

// TestComposeFile reads docker-compose.yml as Docker would.
func TestComposeFile(t *testing.T) {
	secrets := []string{"TIEBACK_CLICKHOUSE_PASSWORD=secret", "TIEBACK_ANALYST_PASSWORD=reader", "GRAFANA_PASSWORD=admin"}
	for i, says := range []string{"set a password for ClickHouse", "set a password for the analysts", "set a password for Grafana"} {
		if _, err := loadCompose(t, slices.Delete(slices.Clone(secrets), i, i+1)...); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("without %s: %v", secrets[i], err)
		}
	}
	project, err := loadCompose(t, secrets...)
	if err != nil {
		t.Fatal(err)
	}
	clickhouse, tieback, grafana := project.Services["clickhouse"], project.Services["tieback"], project.Services["grafana"]
	if clickhouse.Image != "clickhouse/clickhouse-server:26.7" {
		t.Errorf("ClickHouse is %s, the embedded engine is 26.7", clickhouse.Image)
	}
	if url := tieback.Environment["TIEBACK_CLICKHOUSE"]; url == nil || *url != "http://tieback:secret@clickhouse:8123" {
		t.Errorf("TIEBACK_CLICKHOUSE is %v", url)
	}
	if tieback.DependsOn["clickhouse"].Condition != types.ServiceConditionHealthy || len(project.Volumes) != 3 {
		t.Errorf("depends on %v, volumes %v", tieback.DependsOn, project.Volumes)
	}
	for _, service := range project.Services {
		for _, volume := range service.Volumes {
			if volume.Type == types.VolumeTypeBind {
				if _, err := os.Stat(volume.Source); err != nil {
					t.Errorf("%s mounts what is not there: %v", service.Name, err)
				}
			}
		}
	}
	// What the data source asks the environment for.
	source, err := os.ReadFile("dashboards/provisioning/datasources/tieback.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range regexp.MustCompile(`\$\{(\w+)\}`).FindAllStringSubmatch(string(source), -1) {
		if value := grafana.Environment[name[1]]; value == nil || *value == "" {
			t.Errorf("Grafana has no %s", name[1])
		}
	}
}

// TestDockerfile holds the image's Go against go.mod's, and to a user that is not root.
func TestDockerfile(t *testing.T) {
	dockerfile, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(mod), "\n") {
		if version, ok := strings.CutPrefix(line, "go "); ok {
			minor := strings.Join(strings.Split(version, ".")[:2], ".")
			if !strings.Contains(string(dockerfile), "FROM golang:"+minor+"-") {
				t.Errorf("go.mod asks for Go %s, the Dockerfile builds with another", version)
			}
		}
	}
	if !strings.Contains(string(dockerfile), "\nUSER tieback\n") {
		t.Error("the image runs as root")
	}
}
