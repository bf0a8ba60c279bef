package tieback_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

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
	project, err := loadCompose(t)
	if err != nil {
		t.Fatal(err)
	}
	clickhouse, tieback, grafana := project.Services["clickhouse"], project.Services["tieback"], project.Services["grafana"]
	if clickhouse.Image != "clickhouse/clickhouse-server:26.7" {
		t.Errorf("ClickHouse is %s, the embedded engine is 26.7", clickhouse.Image)
	}
	if url := tieback.Environment["TIEBACK_CLICKHOUSE"]; url == nil || *url != "http://tieback@clickhouse:8123" {
		t.Errorf("TIEBACK_CLICKHOUSE is %v", url)
	}
	if tieback.DependsOn["clickhouse"].Condition != types.ServiceConditionHealthy || len(project.Volumes) != 3 {
		t.Errorf("depends on %v, volumes %v", tieback.DependsOn, project.Volumes)
	}
	for _, service := range project.Services {
		for name, value := range service.Environment {
			if value != nil && strings.Contains(strings.ToUpper(name), "PASSWORD") && !strings.HasSuffix(name, "_FILE") {
				t.Errorf("%s has %s in its environment", service.Name, name)
			}
		}
		for _, port := range service.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s is open to other machines at %s", service.Name, port.Published)
			}
		}
		if service.Logging == nil || service.Logging.Options["max-size"] == "" || service.Restart != "unless-stopped" {
			t.Errorf("%s: logs are not rotated, or it is not restarted", service.Name)
		}
		for _, volume := range service.Volumes {
			if volume.Type == types.VolumeTypeBind {
				if _, err := os.Stat(volume.Source); err != nil {
					t.Errorf("%s mounts what is not there: %v", service.Name, err)
				}
			}
		}
	}
	if !tieback.ReadOnly || len(tieback.CapDrop) == 0 || tieback.StopGracePeriod == nil || time.Duration(*tieback.StopGracePeriod) < 15*time.Second {
		t.Error("tieback may write to its image, has rights that it does not need, or has no time to stop")
	}
	if plugins := grafana.Environment["GF_PLUGINS_PREINSTALL_SYNC"]; plugins == nil || !regexp.MustCompile(`^grafana-clickhouse-datasource@\d+\.\d+\.\d+$`).MatchString(*plugins) {
		t.Error("Grafana's plugin is not pinned, or not there when the data source is made")
	}
	// What the data source asks the environment for.
	source, err := os.ReadFile("dashboards/provisioning/datasources/tieback.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range regexp.MustCompile(`\$\{(\w+)\}`).FindAllStringSubmatch(string(source), -1) {
		value := grafana.Environment[name[1]]
		if (value == nil || *value == "") && !strings.Contains(strings.Join(grafana.Entrypoint, " "), name[1]+"=") {
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
	if !strings.Contains(string(dockerfile), "\nUSER 10001:10001\n") {
		t.Error("the image runs as root")
	}
}
