package hosts

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"
)

const sample = `Host lab
  HostName real.example.org
  User alice
  Port 2222
  IdentityFile ~/.ssh/key_%r
  IdentityFile /keys/two
  CertificateFile ~/cert.pub
  IdentitiesOnly yes
  IdentityAgent /run/agent
  UserKnownHostsFile ~/kh /other/kh
  StrictHostKeyChecking accept-new
  HostKeyAlias lab-key
  ControlPath ~/cm-%n
Host jumped
  HostName %h.example.org
  ProxyJump a@gate:23,second
Host commanded
  ProxyCommand nc %h %p
Host hostile
  HostName $(touch\ /tmp/x)
Host *
  ConnectTimeout 7
  GSSAPIAuthentication no
`

// Both ways of reading ssh_config must come to the same.
func TestOwnReaderAgreesWithOpenSSH(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("ssh"); err != nil {
		t.Skip("no ssh to compare with")
	}
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte(sample), 0o600); err != nil {
		t.Fatal(err)
	}
	r := Resolver{File: file, Agent: "/run/default"}
	for _, d := range []Destination{{Host: "lab"}, {Host: "lab", User: "bob", Port: 99}, {Host: "jumped"}, {Host: "commanded"}, {Host: "other"}} {
		asked, err := r.Resolve(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		read, err := r.read(d)
		if err != nil {
			t.Fatal(err)
		}
		if d.Host != "lab" { // which keys are tried when none is named differs by OpenSSH's version
			asked.IdentityFiles, read.IdentityFiles = nil, nil
		}
		if !reflect.DeepEqual(asked, read) {
			t.Errorf("%v:\nssh -G %+v\nread   %+v", d, asked, read)
		}
	}
	if res, err := r.Resolve(t.Context(), Destination{Host: "hostile"}); err == nil {
		t.Errorf("a shell's words are taken as a name: %q", res.HostName)
	}
}
