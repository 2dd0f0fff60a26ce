package connect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/remote/hosts"
)

// hostKey decides whether a host is the one that known_hosts knows.
type hostKey struct {
	ctx      context.Context
	res      *hosts.Resolved
	prompt   Prompter
	name     string
	address  string // as known_hosts has it, with a port
	db       *knownhosts.HostKeyDB
	accepted bool
	said     string
	failed   error // what x/crypto would hide in a text
}

func newHostKey(ctx context.Context, res *hosts.Resolved, prompt Prompter, name string) (*hostKey, error) {
	k := &hostKey{ctx: ctx, res: res, prompt: prompt, name: name}
	k.address = net.JoinHostPort(res.HostName, strconv.Itoa(res.Port))
	if res.HostKeyAlias != "" {
		k.address = net.JoinHostPort(res.HostKeyAlias, "22") // as OpenSSH does, whatever the port
	}
	var files []string
	for _, f := range slices.Concat(res.KnownHosts, res.GlobalKnownHosts) {
		if info, err := os.Stat(f); err == nil && info.Mode().IsRegular() {
			files = append(files, f)
		}
	}
	db, err := knownhosts.NewDB(files...)
	if err != nil {
		return nil, api.Errorf(api.HostKey, "correct or remove the line", "unable to read known_hosts: %w", err)
	}
	k.db = db
	return k, nil
}

// algorithms asks for the kinds of key that are known, lest a host that has several look changed.
func (k *hostKey) algorithms() []string {
	if known := k.db.HostKeyAlgorithms(k.address); len(known) > 0 {
		return known
	}
	return []string{
		ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
		ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256,
	}
}

func (k *hostKey) check(key ssh.PublicKey) error {
	// The address alone counts: behind a proxy there is no other, and OpenSSH has dropped CheckHostIP.
	remote := &net.TCPAddr{IP: net.IPv4zero}
	err := k.db.HostKeyCallback()(k.address, remote, key)
	var bad *xknownhosts.KeyError
	switch {
	case err == nil:
		k.said = "known, " + ssh.FingerprintSHA256(key)
	case errors.As(err, &bad) && len(bad.Want) > 0:
		k.failed = k.changed(key, bad.Want[0])
	case errors.As(err, &bad):
		k.failed = k.unknown(key)
	default:
		k.failed = api.Errorf(api.HostKey, "", "unable to trust the key of %s: %w", k.name, err)
	}
	k.accepted = k.failed == nil
	return k.failed
}

func (k *hostKey) changed(key ssh.PublicKey, known xknownhosts.KnownKey) error {
	hint := fmt.Sprintf("if you know why, remove the old key with: ssh-keygen -f %s -R %s", Quote(known.Filename), Quote(xknownhosts.Normalize(k.address)))
	return api.Errorf(api.HostKey, hint,
		"the host key of %s has changed: it shows %s, %s line %d has %s; someone may be listening in",
		k.name, ssh.FingerprintSHA256(key), known.Filename, known.Line, ssh.FingerprintSHA256(known.Key))
}

// unknown asks for, or by StrictHostKeyChecking takes, a key seen for the first time.
func (k *hostKey) unknown(key ssh.PublicKey) error {
	print := ssh.FingerprintSHA256(key)
	refused := func() error {
		return api.Errorf(api.HostKey, "connect once on a terminal, or: ssh-keyscan and compare", "the host key of %s is not known: %s %s", k.name, key.Type(), print)
	}
	switch k.res.HostKeyChecking {
	case "no", "accept-new":
	case "ask":
		if k.prompt == nil || k.res.Batch {
			return refused()
		}
		text := fmt.Sprintf("The host %s (%s) is not known. Its %s key is %s. Trust it?", k.name, k.address, key.Type(), print)
		answer, err := k.prompt.Prompt(k.ctx, Prompt{Kind: PromptHostKey, Host: k.name, Text: text, Echo: true})
		if err != nil {
			return err
		}
		if answer != "yes" {
			return api.Errorf(api.HostKey, "", "the host key of %s was not accepted", k.name)
		}
	default:
		return refused()
	}
	k.said = "new, " + print
	return k.remember(key)
}

// remember adds the key to the first known_hosts file.
func (k *hostKey) remember(key ssh.PublicKey) error {
	if len(k.res.KnownHosts) == 0 {
		return nil
	}
	path, address := k.res.KnownHosts[0], xknownhosts.Normalize(k.address)
	if k.res.HashKnownHosts {
		address = xknownhosts.HashHostname(address)
	}
	if err := appendLine(path, xknownhosts.Line([]string{address}, key)); err != nil {
		return api.Errorf(api.HostKey, "", "unable to remember the key of %s: %w", k.name, err)
	}
	return nil
}

func appendLine(path, line string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	text := []byte(line + "\n")
	if info, err := f.Stat(); err == nil && info.Size() > 0 {
		last := []byte{'\n'}
		if _, err := f.ReadAt(last, info.Size()-1); err == nil && !bytes.Equal(last, []byte{'\n'}) {
			text = append([]byte{'\n'}, text...)
		}
	}
	_, err = f.Write(text)
	return err
}
