package chdb

import (
	"crypto/rand"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	analysts "github.com/tieback/tieback/dashboards/clickhouse"
)

const (
	// operator is the user that Tieback itself is. Views are read with its rights, so its name
	// must stay.
	operator = "tieback"

	endpointName = "engine.json" // in the data folder
	configName   = "engine.xml"
	usersName    = "users.xml" // in configDir, with users.d/ beside it
	configDir    = "engine"
	engineLog    = "clickhouse.log"
	engineDir    = "clickhouse" // ClickHouse's own data path, in the data folder
)

// Endpoint is where an engine answers, and as whom.
type Endpoint struct {
	Address  string `json:"address"` // HOST:PORT of ClickHouse's HTTP interface, loopback
	User     string `json:"user"`    // that may do everything
	Password string `json:"password"`

	AnalystPassword string `json:"analystPassword"` // of the user that reads what is published
}

// ReadEndpoint returns what the engine of a data folder has written last.
func ReadEndpoint(dataDir string) (e Endpoint, err error) {
	text, err := os.ReadFile(filepath.Join(dataDir, endpointName))
	if err != nil {
		return e, fmt.Errorf("find the embedded engine: %w", err)
	}
	if err := json.Unmarshal(text, &e); err != nil {
		return e, fmt.Errorf("read %s: %w", filepath.Join(dataDir, endpointName), err)
	}
	return e, nil
}

// newEndpoint takes a free port, the one before where it still is, and keeps the passwords, so
// that clients find an engine that was started again.
func newEndpoint(dataDir string) (Endpoint, error) {
	e, err := ReadEndpoint(dataDir)
	if err != nil || e.Password == "" || e.AnalystPassword == "" {
		e = Endpoint{User: operator, Password: rand.Text(), AnalystPassword: rand.Text()}
	}
	listener, err := net.Listen("tcp", e.Address)
	if e.Address == "" || err != nil {
		listener, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		return e, fmt.Errorf("find a port for the engine: %w", err)
	}
	e.Address = listener.Addr().String()
	return e, listener.Close()
}

func (e Endpoint) write(dataDir string) error {
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dataDir, endpointName), string(text)+"\n")
}

// writeFile replaces a file that is for its owner only; readers see the old one or the new one.
func writeFile(path, text string) error {
	fresh := path + ".new"
	if err := os.WriteFile(fresh, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(fresh, path)
}

// writeConfig writes what the engine takes from files, and returns the path of the first.
func writeConfig(dataDir string, e Endpoint) (string, error) {
	dir := filepath.Join(dataDir, configDir)
	if err := os.MkdirAll(filepath.Join(dir, "users.d"), 0o700); err != nil {
		return "", fmt.Errorf("write the engine's settings: %w", err)
	}
	_ = os.Remove(filepath.Join(dataDir, configName)) // where it was once
	config := filepath.Join(dir, configName)
	err := errors.Join(
		writeFile(config, fmt.Sprintf(configXML, xmlText(filepath.Join(dir, usersName)), xmlText(filepath.Join(dataDir, engineLog)))),
		writeFile(filepath.Join(dir, usersName), fmt.Sprintf(usersXML, operator, xmlText(e.Password))),
		writeFile(filepath.Join(dir, "users.d", "analyst.xml"), analysts.Analyst),
	)
	if err != nil {
		return "", fmt.Errorf("write the engine's settings: %w", err)
	}
	return config, nil
}

func xmlText(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a Builder takes everything
	return b.String()
}

// configXML: backups may be written to and read from anywhere that this user can. The rest is as
// on a server: system tables are for those who were granted them.
const configXML = `<clickhouse>
    <users_config>%s</users_config>
    <access_control_improvements>
        <select_from_system_db_requires_grant>true</select_from_system_db_requires_grant>
        <select_from_information_schema_requires_grant>true</select_from_information_schema_requires_grant>
        <users_without_row_policies_can_read_rows>true</users_without_row_policies_can_read_rows>
        <on_cluster_queries_require_cluster_grant>true</on_cluster_queries_require_cluster_grant>
        <table_engines_require_grant>true</table_engines_require_grant>
    </access_control_improvements>
    <user_files_path>/dev/null/none/</user_files_path>
    <backups>
        <allowed_path>/</allowed_path>
    </backups>
    <shutdown_wait_unfinished>0</shutdown_wait_unfinished>
    <background_schedule_pool_size>64</background_schedule_pool_size>
    <logger>
        <log>%s</log>
        <size>20M</size>
        <count>2</count>
    </logger>
</clickhouse>
`

// usersXML: the statement that keeps the engine running is the user default's, who can't have a
// password. So that user may do nothing else, and the quota is used up once the engine is there.
// The library's own defaults are those of a tool for files; the profile has a server's.
const usersXML = `<clickhouse>
    <profiles>
        <default>
            <implicit_select>0</implicit_select>
            <allow_introspection_functions>0</allow_introspection_functions>
            <storage_file_read_method>pread</storage_file_read_method>
        </default>
    </profiles>
    <quotas>
        <default/>
        <closed>
            <interval>
                <duration>2000000000</duration>
                <queries>2</queries>
            </interval>
        </closed>
    </quotas>
    <users>
        <default>
            <password/>
            <networks>
                <ip>127.0.0.1</ip>
            </networks>
            <profile>default</profile>
            <quota>closed</quota>
            <grants>
                <query>GRANT SYSTEM LISTEN ON *.*</query>
                <query>GRANT SELECT ON system.numbers</query>
            </grants>
        </default>
        <%[1]s>
            <password>%[2]s</password>
            <networks>
                <ip>127.0.0.1</ip>
            </networks>
            <profile>default</profile>
            <quota>default</quota>
            <access_management>1</access_management>
            <named_collection_control>1</named_collection_control>
        </%[1]s>
    </users>
</clickhouse>
`

// keepStatement keeps the engine running: it sleeps, in naps short enough that its end isn't
// waited for, until it is killed.
const keepStatement = "select sleepEachRow(0.05) from system.numbers format Null settings max_block_size = 1, max_execution_time = 0"

// engineArgs starts ClickHouse's HTTP server and keeps it.
func engineArgs(dataDir, config string, e Endpoint) []string {
	host, port, _ := net.SplitHostPort(e.Address) // it was listened on
	return []string{
		"--config-file=" + config, "--log-level=warning", "--path=" + filepath.Join(dataDir, engineDir), "--listen_host=" + host, "--http_port=" + port,
		"--query=system start listen http; " + keepStatement,
	}
}
