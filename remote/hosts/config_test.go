package hosts

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/remote/place"
)

func TestDocumentedConfigIsRead(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "config.md"))
	if err != nil {
		t.Fatal(err)
	}
	example := regexp.MustCompile("(?s)```toml\n(.*?)```").FindSubmatch(page)
	c, err := Parse("config.toml", example[1])
	if err != nil {
		t.Fatal(err)
	}
	lab, err := c.Find("")
	if err != nil {
		t.Fatal(err)
	}
	want := Host{Name: "lab", User: "alice", Address: "lab.example.org", Port: 2222, Data: "/scratch/alice/cyclops", LinkIdle: time.Hour, Configured: true}
	if lab != want {
		t.Errorf("lab is %+v", lab)
	}
	farm, err := c.Find("farm")
	if err != nil || farm.Address != "farm" || farm.LinkIdle != 10*time.Minute || c.FetchLimitBytes() != 64<<20 {
		t.Errorf("farm is %+v, %v", farm, err)
	}
	if names := c.List(); len(names) != 3 || names[0].Name != Local {
		t.Errorf("listed %+v", names)
	}
}

func TestWithoutConfigEverythingIsLocal(t *testing.T) {
	t.Parallel()
	c, err := Load(place.Dirs{Config: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if h, err := c.Find(""); err != nil || !h.IsLocal() {
		t.Errorf("%+v, %v", h, err)
	}
	if h, err := c.Find("bob@lab:23"); err != nil || h.User != "bob" || h.Address != "lab" || h.Port != 23 || h.Configured || h.LinkIdle != DefaultLinkIdle {
		t.Errorf("%+v, %v", h, err)
	}
}

func TestBadConfig(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"hots = 'a'":                                `unknown key "hots"`,
		"[hosts.lab]\nadress = 'b'":                 "config.toml:2",
		"[hosts.lab]\naddress = '-oProxyCommand=x'": "is not a",
		"[hosts.lab]\naddress = 'a;b'":              "it holds ';'",
		"[hosts.'a b']\n":                           "it holds ' '",
		"[hosts.lab]\ndata = 'x'":                   "is not absolute",
		"[hosts.local]\naddress = 'x'":              "is this machine",
		"host = '-x'":                               "is not a host name",
		"link_idle = 'soon'":                        "is not a duration",
		"link_idle = '-1s'":                         "is not a duration",
		"fetch_limit = 'much'":                      "is not a size",
	} {
		_, err := Parse("config.toml", []byte(text))
		var e *api.Error
		if !errors.As(err, &e) || e.Kind != api.Usage || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestDestinations(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Destination{
		"lab": {Host: "lab"}, "a@lab": {User: "a", Host: "lab"}, "lab:22": {Host: "lab", Port: 22},
		"ssh://a@lab:2222/": {User: "a", Host: "lab", Port: 2222}, "[::1]:22": {Host: "::1", Port: 22},
		"fe80::1": {Host: "fe80::1"}, "[::1]": {Host: "::1"},
	} {
		if got, err := ParseDestination(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", "-x", "a@-x", "-l@x", "x:0", "x:99999", "x:y", "$(id)", "a`b`", "a b", "a'b", "a\nb", "a/b", "a;b@c", "@", "a@",
	} {
		if got, err := ParseDestination(text); err == nil {
			t.Errorf("%q is taken as %+v", text, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("host = 'lab'\n[hosts.lab]\naddress = 'a@b:22'"))
	f.Add([]byte("[hosts.local]\ndata = '~/x'"))
	f.Fuzz(func(t *testing.T, data []byte) { _, _ = Parse("config.toml", data) })
}

func FuzzParseDestination(f *testing.F) {
	f.Add("ssh://a@b:22")
	f.Add("[::1]:22")
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDestination(text)
		if err == nil && (d.Host == "" || d.Host[0] == '-' || strings.ContainsAny(d.Host+d.User, "'`\"$\\;&<>|() \n")) {
			t.Errorf("%q is taken as %+v", text, d)
		}
	})
}
