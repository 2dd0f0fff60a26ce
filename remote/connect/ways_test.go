//go:build linux

package connect

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/remote/hosts"
	"github.com/cyclops-fpga/cyclops/remote/sshtest"
)

// Each host on the way has a key of its own, the last one with a passphrase: who is asked must be
// told which host it is for.
func TestTwoJumps(t *testing.T) {
	each(t, func(t *testing.T, idle time.Duration) {
		first := sshtest.Start(t, sshtest.Options{Name: "first"})
		second := sshtest.Start(t, sshtest.Options{Name: "second", Jump: first, Passphrase: "two"})
		inner := sshtest.Start(t, sshtest.Options{Name: "inner", Jump: second})
		for name, cfg := range map[string]string{
			"each names the one before": inner.ConfigFile,
			"in one line":               inner.Config("listed", "ProxyJump first,second"),
		} {
			p := &person{answers: map[string]string{PromptPassphrase: "two"}}
			c := open(t, inner, idle, func(_ *hosts.Host, o *Options) { o.SSHConfig, o.Prompter = cfg, p })
			r, err := c.Exec(t.Context(), "echo $HOME", nil)
			if err != nil || strings.TrimSpace(string(r.Stdout)) != inner.Home {
				t.Errorf("%s: %q, %v", name, r.Stdout, err)
			}
			if p.kinds() != PromptPassphrase || p.asked[0].Host != "second" {
				t.Errorf("%s: asked %+v", name, p.asked)
			}
		}
	})
}

// A master that is gone, stopped, or whose line is dead is no obstacle.
func TestMasterOfNoUse(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(t *testing.T, s *sshtest.Server, cfg, path string){
		"dead socket left behind": func(t *testing.T, _ *sshtest.Server, _, path string) {
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
			if err != nil {
				t.Fatal(err)
			}
			l.SetUnlinkOnClose(false)
			l.Close()
		},
		"no socket at all": func(t *testing.T, _ *sshtest.Server, _, path string) {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"stopped": func(t *testing.T, s *sshtest.Server, cfg, _ string) {
			t.Cleanup(startMaster(t, cfg, s.Name))
			pid := masterPID(t, cfg, s.Name)
			if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGCONT) })
		},
		"line dead": func(t *testing.T, s *sshtest.Server, cfg, _ string) {
			t.Cleanup(startMaster(t, cfg, s.Name))
			s.Freeze()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := sshtest.Start(t, sshtest.Options{})
			path := filepath.Join(s.Dir, "master")
			cfg := s.Config("mastered", "ControlPath "+path)
			spoil(t, s, cfg, path)
			start := time.Now()
			c := open(t, s, 0, func(_ *hosts.Host, o *Options) { o.SSHConfig = cfg })
			if r, err := c.Exec(t.Context(), "echo own", nil); err != nil || string(r.Stdout) != "own\n" {
				t.Errorf("%q, %v", r.Stdout, err)
			}
			if took := time.Since(start); took > masterLimit+5*time.Second {
				t.Errorf("after %v", took)
			}
		})
	}
}

func masterPID(t *testing.T, cfg, name string) int {
	t.Helper()
	out, err := exec.Command("ssh", "-F", cfg, "-O", "check", name).CombinedOutput()
	_, rest, _ := strings.Cut(string(out), "pid=")
	digits, _, _ := strings.Cut(rest, ")")
	pid, perr := strconv.Atoi(digits)
	if err != nil || perr != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return pid
}

// Whoever looks after the line of a master, a run through it must notice as soon as any other.
func TestSilentLineOfAMasterIsNoticed(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t, sshtest.Options{})
	executor(t, s)
	cfg := s.Config("mastered", "ControlPath "+filepath.Join(s.Dir, "master"))
	t.Cleanup(startMaster(t, cfg, s.Name))
	c := open(t, s, 0, func(_ *hosts.Host, o *Options) { o.SSHConfig = cfg })
	conn, err := c.Exchange(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	say(t, conn, "x")
	kept := c.way.(*direct).connector.live()
	time.Sleep(2 * (quietInUse + 100*time.Millisecond)) // probes go by: they must not end a line that lives
	if got := say(t, conn, "y"); got != "echo y" || c.way.(*direct).connector.live() != kept {
		t.Fatalf("said %q through another connection or none", got)
	}
	s.Freeze()
	start := time.Now()
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("something came")
	}
	if took := time.Since(start); took > 6*time.Second {
		t.Errorf("noticed after %v", took)
	}
	if r, err := c.Exec(t.Context(), "echo again", nil); err != nil || string(r.Stdout) != "again\n" {
		t.Errorf("%q, %v", r.Stdout, err)
	}
}

// ring is an agent with one key.
func ring(t *testing.T, key any) string {
	t.Helper()
	keys := agent.NewKeyring()
	if err := keys.Add(agent.AddedKey{PrivateKey: key}); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("/tmp", "ring-")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(); os.RemoveAll(dir) })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _ = agent.ServeAgent(keys, c) }()
		}
	}()
	return l.Addr().String()
}

// Whatever the user's configuration says for ssh: a host that runs jobs gets no agent.
func TestAgentIsNeverForwarded(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t, sshtest.Options{})
	data, err := os.ReadFile(s.Identity)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.ParseRawPrivateKey(data)
	if err != nil {
		t.Fatal(err)
	}
	socket := ring(t, key)
	path := filepath.Join(s.Dir, "master")
	cfg := s.Config("forwarding", "ForwardAgent yes", "IdentityAgent "+socket)
	if out, err := exec.Command("ssh", "-F", cfg, s.Name, "echo $SSH_AUTH_SOCK").Output(); err != nil || len(out) < 2 {
		t.Fatalf("ssh itself forwards none: %q, %v", out, err)
	}
	mastered := s.Config("master-config", "ForwardAgent yes", "IdentityAgent "+socket, "ControlPath "+path)
	t.Cleanup(startMaster(t, mastered, s.Name))
	for name, cfg := range map[string]string{"own connection": cfg, "through a master": mastered} {
		for _, idle := range []time.Duration{0, time.Minute} {
			c := open(t, s, idle, func(_ *hosts.Host, o *Options) { o.SSHConfig = cfg })
			if r, err := c.Exec(t.Context(), "echo $SSH_AUTH_SOCK", nil); err != nil || string(r.Stdout) != "\n" {
				t.Errorf("%s: %q, %v", name, r.Stdout, err)
			}
		}
	}
}

const softHSM = "/usr/lib/softhsm/libsofthsm2.so"

// token makes a PKCS#11 token with one key that cannot leave it, and returns the public half.
func token(t *testing.T, pin string) string {
	t.Helper()
	for _, p := range []string{"softhsm2-util", "pkcs11-tool"} {
		if _, err := exec.LookPath(p); err != nil {
			t.Skip("no PKCS#11 token to be had: apt-get install softhsm2 opensc")
		}
	}
	dir := t.TempDir()
	conf := filepath.Join(dir, "conf")
	text := fmt.Sprintf("directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n", dir)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SOFTHSM2_CONF", conf)
	for _, argv := range [][]string{
		{"softhsm2-util", "--init-token", "--free", "--label", "card", "--pin", pin, "--so-pin", "12345678"},
		{"pkcs11-tool", "--module", softHSM, "--login", "--pin", pin, "--keypairgen", "--key-type", "EC:prime256v1", "--id", "01", "--label", "key"},
	} {
		if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%q: %v: %s", argv, err, out)
		}
	}
	out, err := exec.Command("ssh-keygen", "-D", softHSM).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// A key on a PKCS#11 token is OpenSSH's to use: the link has it connect, and asks for the PIN in
// its name. A password that the host would take too is not asked for first.
func TestTokenThroughOpenSSH(t *testing.T) {
	public := token(t, "1234")
	for name, q := range map[string]struct {
		opt     sshtest.Options
		answers map[string]string
		asked   string
		fails   bool
	}{
		"pin":             {answers: map[string]string{PromptPIN: "1234"}, asked: PromptPIN},
		"declined":        {answers: map[string]string{}, asked: PromptPIN, fails: true},
		"nobody to ask":   {fails: true},
		"pin, not passwd": {opt: sshtest.Options{Password: "sesame", Extra: []string{"PubkeyAuthentication yes"}}, answers: map[string]string{PromptPIN: "1234"}, asked: PromptPIN},
		"pin and passwd": {
			opt:     sshtest.Options{Password: "sesame", Extra: []string{"PubkeyAuthentication yes", "AuthenticationMethods publickey,password"}},
			answers: map[string]string{PromptPIN: "1234", PromptPassword: "sesame"}, asked: PromptPIN + " " + PromptPassword,
		},
	} {
		for _, idle := range []time.Duration{0, time.Minute} {
			t.Run(fmt.Sprint(name, idle), func(t *testing.T) {
				s := sshtest.Start(t, q.opt)
				if err := os.WriteFile(filepath.Join(s.Dir, "authorized_keys"), []byte(public), 0o644); err != nil {
					t.Fatal(err)
				}
				cfg := s.Config("token", "PKCS11Provider "+softHSM, "IdentitiesOnly no")
				asked, err := letIn(t, s, idle, cfg, q.answers)
				if (err != nil) != q.fails || q.fails && api.KindOf(err) != api.Auth {
					t.Errorf("kind %d, %v", api.KindOf(err), err)
				}
				if asked != q.asked {
					t.Errorf("asked for %q, want %q", asked, q.asked)
				}
			})
		}
	}
}
