package control

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// keypair is a certificate with its key; both lie on disk as path.crt and path.key.
type keypair struct {
	cert *x509.Certificate
	key  crypto.Signer
	path string
}

// subject says who a certificate is for.
type subject struct {
	name   string
	groups []string
	server bool // also valid for the loopback and service names
}

// keysmith writes certificates into one folder and keeps the first error, so
// that a list of certificates reads as a list.
type keysmith struct {
	dir string
	err error
}

// issue writes the certificate file for who, signed by ca, or by itself as an authority when ca is nil.
func (k *keysmith) issue(file string, ca *keypair, who subject) *keypair {
	if k.err != nil {
		return nil
	}
	pair, err := newKeypair(ca, who)
	if err == nil {
		pair.path = filepath.Join(k.dir, file)
		err = pair.write()
	}
	if err != nil {
		k.err = fmt.Errorf("writing the certificate %s: %w", file, err)
		return nil
	}
	return pair
}

func newKeypair(ca *keypair, who subject) (*keypair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return nil, err
	}
	template := certificate(serial, who)
	parent, signer := template, crypto.Signer(key)
	if ca == nil {
		template.IsCA, template.BasicConstraintsValid = true, true
		template.KeyUsage |= x509.KeyUsageCertSign
		template.ExtKeyUsage = nil
	} else {
		parent, signer = ca.cert, ca.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &keypair{cert: cert, key: key}, err
}

func certificate(serial *big.Int, who subject) *x509.Certificate {
	c := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: who.name, Organization: who.groups},
		NotBefore:    time.Now().Add(-time.Hour), // clocks of tests may lag
		NotAfter:     time.Now().Add(365 * 24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	if who.server {
		c.IPAddresses = []net.IP{net.ParseIP("127.0.0.1"), net.ParseIP("10.96.0.1")}
		c.DNSNames = []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"}
	}
	return c
}

func (p *keypair) write() error {
	key, err := x509.MarshalPKCS8PrivateKey(p.key)
	if err != nil {
		return err
	}
	if err := writePEM(p.path+".crt", "CERTIFICATE", p.cert.Raw, 0o644); err != nil {
		return err
	}
	return writePEM(p.path+".key", "PRIVATE KEY", key, 0o600)
}

// writePublic writes the bare public key: what the API server verifies ServiceAccount tokens with.
func (p *keypair) writePublic() error {
	der, err := x509.MarshalPKIXPublicKey(p.key.Public())
	if err != nil {
		return err
	}
	return writePEM(p.path+".pub", "PUBLIC KEY", der, 0o644)
}

func writePEM(path, kind string, der []byte, mode os.FileMode) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode)
}

// users are the identities that get a kubeconfig, by file name.
var users = map[string]subject{
	"kubeconfig":            {name: "kubernetes-admin", groups: []string{"system:masters"}},
	"kcm.kubeconfig":        {name: "system:kube-controller-manager"},
	"scheduler.kubeconfig":  {name: "system:kube-scheduler"},
	"kwok.kubeconfig":       {name: "kwok", groups: []string{"system:masters"}},
	"supervisor.kubeconfig": {name: "trackside-cluster", groups: []string{"system:masters"}},
}

// writeKeys writes every certificate, key and kubeconfig of a new cluster.
func writeKeys(l layout, server string) error {
	k := &keysmith{dir: l.path("pki")}
	ca := k.issue("ca", nil, subject{name: "trackside-cluster-ca"})
	k.issue("apiserver", ca, subject{name: "kube-apiserver", server: true})
	k.issue("kubelet-client", ca, subject{name: "kube-apiserver-kubelet-client", groups: []string{"system:masters"}})
	k.issue("kubelet", ca, subject{name: "kwok", server: true})
	front := k.issue("front-proxy-ca", nil, subject{name: "front-proxy-ca"})
	k.issue("front-proxy-client", front, subject{name: "front-proxy-client"})
	accounts := k.issue("sa", nil, subject{name: "service-accounts"})
	if k.err != nil {
		return k.err
	}
	if err := accounts.writePublic(); err != nil {
		return fmt.Errorf("writing the ServiceAccount key: %w", err)
	}
	for file, who := range users {
		pair := k.issue(file, ca, who)
		if k.err != nil {
			return k.err
		}
		if err := writeKubeconfig(l.path(file), server, ca, pair); err != nil {
			return fmt.Errorf("writing %s: %w", l.path(file), err)
		}
	}
	return nil
}

func writeKubeconfig(path, server string, ca, user *keypair) error {
	key, err := os.ReadFile(user.path + ".key")
	if err != nil {
		return err
	}
	return clientcmd.WriteToFile(kubeconfig(server, pemOf(ca), &clientcmdapi.AuthInfo{
		ClientCertificateData: pemOf(user),
		ClientKeyData:         key,
	}), path)
}

func pemOf(p *keypair) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.cert.Raw})
}

// kubeconfig is a file of one cluster, one user and one context, all named trackside.
func kubeconfig(server string, ca []byte, user *clientcmdapi.AuthInfo) clientcmdapi.Config {
	c := clientcmdapi.NewConfig()
	c.Clusters["trackside"] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: ca}
	c.AuthInfos["trackside"] = user
	c.Contexts["trackside"] = &clientcmdapi.Context{Cluster: "trackside", AuthInfo: "trackside"}
	c.CurrentContext = "trackside"
	return *c
}
