package tieback_test

import (
	"os"
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
	if _, err := loadCompose(t); err == nil || !strings.Contains(err.Error(), "set a password for ClickHouse") {
		t.Errorf("without a password: %v", err)
	}
	project, err := loadCompose(t, "TIEBACK_CLICKHOUSE_PASSWORD=secret")
	if err != nil {
		t.Fatal(err)
	}
	clickhouse, tieback := project.Services["clickhouse"], project.Services["tieback"]
	if clickhouse.Image != "clickhouse/clickhouse-server:26.7" {
		t.Errorf("ClickHouse is %s, the embedded engine is 26.7", clickhouse.Image)
	}
	if url := tieback.Environment["TIEBACK_CLICKHOUSE"]; url == nil || *url != "http://tieback:secret@clickhouse:8123" {
		t.Errorf("TIEBACK_CLICKHOUSE is %v", url)
	}
	if tieback.DependsOn["clickhouse"].Condition != types.ServiceConditionHealthy || len(project.Volumes) != 2 {
		t.Errorf("depends on %v, volumes %v", tieback.DependsOn, project.Volumes)
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
