//go:build linux

package connect

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/remote/hosts"
	"github.com/cyclops-fpga/cyclops/remote/sshtest"
)

// A verification code and then the password, as hosts with a second factor ask; the greeting at
// the end comes as a list of no questions.
func TestTwoPrompts(t *testing.T) {
	t.Parallel()
	const module = "/lib/x86_64-linux-gnu/security/pam_google_authenticator.so"
	if _, err := os.Stat(module); err != nil {
		t.Skip("no second factor to be had: apt-get install libpam-google-authenticator")
	}
	secret := filepath.Join(t.TempDir(), "secret")
	const codes = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567\n\" DISALLOW_REUSE\n\" TOTP_AUTH\n12345678\n23456789\n"
	if err := os.WriteFile(secret, []byte(codes), 0o400); err != nil {
		t.Fatal(err)
	}
	s := sshtest.Start(t, sshtest.Options{Password: "sesame", Interactive: true, PAM: []string{
		"auth required pam_google_authenticator.so user=root secret=" + secret,
		"auth required pam_unix.so", "account required pam_unix.so",
	}})
	for i, q := range []struct {
		code, password string
		fails          bool
	}{{"12345678", "sesame", false}, {"23456789", "wrong", true}, {"12345678", "sesame", true}} { // a code counts once
		var asked []string
		given := map[string]string{"Verification code": q.code, "Password": q.password}
		c := open(t, s, 0, func(_ *hosts.Host, o *Options) {
			o.SSHConfig = s.Config(fmt.Sprint("once", i), "NumberOfPasswordPrompts 1")
			o.Prompter = byText(&asked, given)
		})
		_, err := c.Exec(t.Context(), "true", nil)
		if (err != nil) != q.fails || len(asked) != 2 {
			t.Errorf("%d: asked %q, %v", i, asked, err)
		}
	}
}

func byText(asked *[]string, given map[string]string) Prompter {
	return promptFunc(func(_ context.Context, p Prompt) (string, error) {
		*asked = append(*asked, p.Text)
		for word, answer := range given {
			if strings.Contains(p.Text, word) {
				return answer, nil
			}
		}
		return "", fmt.Errorf("asked %q", p.Text)
	})
}

// realm runs a Kerberos realm of its own and logs this process in to it. It returns the host's keys.
func realm(t *testing.T, user, host string) string {
	t.Helper()
	for _, p := range []string{"krb5kdc", "kdb5_util", "kadmin.local", "kinit", "klist"} {
		if _, err := exec.LookPath(p); err != nil {
			t.Skip("no Kerberos to be had: apt-get install krb5-kdc krb5-admin-server krb5-user")
		}
	}
	dir := t.TempDir()
	port := freePort(t)
	files := map[string]string{
		"krb5.conf": fmt.Sprintf("[libdefaults]\ndefault_realm = LAB\ndns_lookup_kdc = false\ndns_canonicalize_hostname = false\nrdns = false\n"+
			"default_ccache_name = FILE:%[1]s/tickets\n[realms]\nLAB = {\n kdc = 127.0.0.1:%[2]d\n}\n", dir, port),
		"kdc.conf": fmt.Sprintf("[kdcdefaults]\nkdc_listen = 127.0.0.1:%[2]d\nkdc_tcp_listen = 127.0.0.1:%[2]d\n[realms]\nLAB = {\n database_name = %[1]s/db\n"+
			" key_stash_file = %[1]s/stash\n}\n", dir, port),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("KRB5_CONFIG", filepath.Join(dir, "krb5.conf"))
	t.Setenv("KRB5_KDC_PROFILE", filepath.Join(dir, "kdc.conf"))
	keys := filepath.Join(dir, "keytab")
	for _, line := range []string{
		"kdb5_util create -s -r LAB -P master", "kadmin.local -q 'addprinc -pw secret " + user + "'",
		"kadmin.local -q 'addprinc -randkey host/" + host + "'", "kadmin.local -q 'ktadd -k " + keys + " host/" + host + "'",
	} {
		run(t, line)
	}
	kdc := exec.Command("krb5kdc", "-n")
	if err := kdc.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = kdc.Process.Kill(); _ = kdc.Wait() })
	for start := time.Now(); exec.Command("sh", "-c", "echo secret | kinit "+user).Run() != nil; time.Sleep(20 * time.Millisecond) {
		if time.Since(start) > 10*time.Second {
			t.Fatal("the realm gives no ticket")
		}
	}
	return keys
}

func run(t *testing.T, line string) {
	t.Helper()
	if out, err := exec.Command("sh", "-c", line).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", line, err, out)
	}
}

// A ticket of Kerberos lets the user in without a question, although the host would take a
// password; without a ticket the password is asked for, once.
func TestKerberosThroughOpenSSH(t *testing.T) {
	const user = "cyclops-test-pw"
	keys := realm(t, user, "127.0.0.1")
	s := sshtest.Start(t, sshtest.Options{
		Password: "sesame", Env: []string{"KRB5_KTNAME=" + keys}, Extra: []string{"GSSAPIAuthentication yes", "GSSAPIStrictAcceptorCheck no"},
	})
	if s.User != user {
		t.Fatalf("the account is %s", s.User)
	}
	cfg := s.Config("gss", "GSSAPIAuthentication yes")
	for _, idle := range []time.Duration{0, time.Minute} {
		asked, err := letIn(t, s, idle, cfg, map[string]string{PromptPassword: "sesame"})
		if err != nil || asked != "" {
			t.Errorf("with a ticket: asked %q, %v", asked, err)
		}
	}
	if asked, err := letIn(t, s, 0, cfg, nil); err != nil || asked != "" {
		t.Errorf("with a ticket and nobody to ask: asked %q, %v", asked, err)
	}
	run(t, "kdestroy")
	asked, err := letIn(t, s, 0, cfg, map[string]string{PromptPassword: "sesame"})
	if err != nil || asked != PromptPassword {
		t.Errorf("without a ticket: asked %q, %v", asked, err)
	}
	asked, err = letIn(t, s, 0, cfg, map[string]string{PromptPassword: "no"})
	if api.KindOf(err) != api.Auth || asked != "password password password" {
		t.Errorf("a wrong password: asked %q, %v", asked, err)
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
