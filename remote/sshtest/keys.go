//go:build linux

package sshtest

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"
)

// keys makes the host's and the user's keys, and certificates where the options ask for them.
func (s *Server) keys() {
	s.t.Helper()
	host := s.key("hostkey", "")
	mine := s.key("id", s.opt.Passphrase)
	s.Identity = filepath.Join(s.Dir, "id")
	s.KnownHosts = filepath.Join(s.Dir, "known_hosts")
	authorized := ssh.MarshalAuthorizedKey(mine.PublicKey())
	if s.opt.HostCA {
		s.certify("hostkey", host.PublicKey(), s.key("host_ca", ""), ssh.HostCert, "127.0.0.1")
	}
	if s.opt.UserCA {
		s.certify("id", mine.PublicKey(), s.key("user_ca", ""), ssh.UserCert, s.User)
		authorized = nil
	}
	s.must(os.WriteFile(filepath.Join(s.Dir, "authorized_keys"), authorized, 0o644))
	s.must(os.WriteFile(s.KnownHosts, nil, 0o600))
}

// key makes a key pair in the server's directory.
func (s *Server) key(name, passphrase string) ssh.Signer {
	s.t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	s.must(err)
	block, err := ssh.MarshalPrivateKey(private, name)
	s.must(err)
	signer, err := ssh.NewSignerFromKey(private)
	s.must(err)
	path := filepath.Join(s.Dir, name)
	s.must(os.WriteFile(path, pem.EncodeToMemory(block), 0o600))
	s.must(os.WriteFile(path+".pub", ssh.MarshalAuthorizedKey(signer.PublicKey()), 0o644))
	if passphrase != "" {
		// One round: the usual ones cost a test seconds under the race detector each time the key is opened.
		out, err := exec.Command("ssh-keygen", "-q", "-p", "-a", "1", "-P", "", "-N", passphrase, "-f", path).CombinedOutput()
		if err != nil {
			s.t.Fatalf("unable to encrypt a key: %v: %s", err, out)
		}
	}
	return signer
}

func (s *Server) certify(name string, key ssh.PublicKey, ca ssh.Signer, kind uint32, principal string) {
	s.t.Helper()
	cert := &ssh.Certificate{
		Key: key, CertType: kind, KeyId: name, ValidPrincipals: []string{principal}, ValidBefore: ssh.CertTimeInfinity,
	}
	if kind == ssh.UserCert {
		cert.Extensions = map[string]string{"permit-port-forwarding": "", "permit-pty": ""}
	}
	s.must(cert.SignCert(rand.Reader, ca))
	s.must(os.WriteFile(filepath.Join(s.Dir, name+"-cert.pub"), ssh.MarshalAuthorizedKey(cert), 0o644))
}

// trust tells known_hosts of the host, or of its authority.
func (s *Server) trust() {
	s.t.Helper()
	name, mark := "hostkey.pub", ""
	if s.opt.HostCA {
		name, mark = "host_ca.pub", "@cert-authority "
	}
	key, err := os.ReadFile(filepath.Join(s.Dir, name))
	s.must(err)
	host, port, err := net.SplitHostPort(s.Addr)
	s.must(err)
	line := fmt.Sprintf("%s[%s]:%s %s\n", mark, host, port, strings.TrimSpace(string(key)))
	s.must(os.WriteFile(s.KnownHosts, []byte(line), 0o600))
}

// ChangeHostKey gives the server another key than known_hosts says.
func (s *Server) ChangeHostKey() {
	s.t.Helper()
	s.Down()
	s.key("hostkey", "")
	s.Up()
}
