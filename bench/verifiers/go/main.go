// SPDX-License-Identifier: Apache-2.0

// Command verifiers judges recorded evidence with go-sev-guest and go-tdx-guest.
//
// It reads one JSON question per line and answers each with one JSON line: the verdict, what the
// library said, and the median time of a verification in microseconds. Nothing is fetched: what
// the libraries ask the vendors for is answered from the folder of collateral.
package main

import (
	"bufio"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"time"

	sevabi "github.com/google/go-sev-guest/abi"
	sevpb "github.com/google/go-sev-guest/proto/sevsnp"
	sevvalidate "github.com/google/go-sev-guest/validate"
	sev "github.com/google/go-sev-guest/verify"
	tdxabi "github.com/google/go-tdx-guest/abi"
	tdx "github.com/google/go-tdx-guest/verify"
)

type question struct {
	Name         string
	Kind         string // "tdx-quote" or "snp-report"
	Evidence     string
	Certificates string // of SNP: the VCEK or VLEK, DER
	Collateral   string // of TDX: a folder
	At           int64
	Rounds       int
}

type answer struct {
	Name   string  `json:"name"`
	Accept bool    `json:"accept"`
	Said   string  `json:"said"`
	Usec   float64 `json:"usec"`
}

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, "verifiers:", err)
		os.Exit(1)
	}
	return value
}

// A vendor's service that knows one folder.
type folder string

func (f folder) read(name string) []byte {
	return must(os.ReadFile(filepath.Join(string(f), name)))
}

func (f folder) Get(address string) (map[string][]string, []byte, error) {
	chain := func(file string) []string {
		return []string{url.QueryEscape(string(f.read(file)))}
	}
	switch {
	case strings.Contains(address, "/tcb?"):
		return map[string][]string{"Tcb-Info-Issuer-Chain": chain("tcb_signing_chain.pem")},
			f.wrap("tcbInfo", "tcb_info.json"), nil
	case strings.Contains(address, "/qe/identity"):
		return map[string][]string{"Sgx-Enclave-Identity-Issuer-Chain": chain("tcb_signing_chain.pem")},
			f.wrap("enclaveIdentity", "qe_identity.json"), nil
	case strings.Contains(address, "/pckcrl?"):
		return map[string][]string{"Sgx-Pck-Crl-Issuer-Chain": chain("pck_crl_issuer_chain.pem")},
			f.read("pck_crl.der"), nil
	}
	return nil, f.read("root_ca_crl.der"), nil
}

// The bodies are kept whole; a folder that keeps them without their envelope is refused by name.
func (f folder) wrap(member, file string) []byte {
	body := f.read(file)
	if !strings.Contains(string(body[:min(len(body), 64)]), member) {
		must(0, fmt.Errorf("%s/%s: no member %s", f, file, member))
	}
	return body
}

func cpu() time.Duration {
	var usage syscall.Rusage
	must(0, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func verifyTdx(q *question) error {
	raw := must(os.ReadFile(q.Evidence))
	quote, err := tdxabi.QuoteToProto(raw)
	if err != nil {
		return err
	}
	return tdx.TdxQuote(quote, &tdx.Options{
		CheckRevocations: true,
		GetCollateral:    true,
		Getter:           folder(q.Collateral),
		Now:              time.Unix(q.At, 0),
	})
}

func verifySnp(q *question) error {
	report, err := sevabi.ReportToProto(must(os.ReadFile(q.Evidence)))
	if err != nil {
		return err
	}
	key := must(os.ReadFile(q.Certificates))
	if block, _ := pem.Decode(key); block != nil {
		key = block.Bytes
	}
	must(x509.ParseCertificate(key))
	chain := &sevpb.CertificateChain{VcekCert: key}
	if signer, err := sevabi.ParseSignerInfo(report.SignerInfo); err == nil &&
		signer.SigningKey == sevabi.VlekReportSigner {
		chain = &sevpb.CertificateChain{VlekCert: key}
	}
	attestation := &sevpb.Attestation{Report: report, CertificateChain: chain}
	if report.Version < 3 {
		attestation.Product = sevabi.DefaultSevProduct()
		attestation.Product = &sevpb.SevProduct{Name: sevpb.SevProduct_SEV_PRODUCT_MILAN}
	}
	options := &sev.Options{DisableCertFetching: true, Now: time.Unix(q.At, 0), Product: attestation.Product}
	if err := sev.SnpAttestation(attestation, options); err != nil {
		return err
	}
	// Debug is not the verifier's business there, but that of the policy it validates beside it.
	return sevvalidate.SnpAttestation(attestation, &sevvalidate.Options{
		GuestPolicy:               sevabi.SnpPolicy{Debug: false, SMT: true, MigrateMA: false, SingleSocket: false},
		PermitProvisionalFirmware: true,
	})
}

func ask(q *question) answer {
	verify := verifySnp
	if q.Kind == "tdx-quote" {
		verify = verifyTdx
	}
	err := verify(q)
	a := answer{Name: q.Name, Accept: err == nil}
	if err != nil {
		a.Said = err.Error()
	}
	var times []float64
	for i := 0; i < q.Rounds; i++ {
		begun := cpu()
		_ = verify(q)
		times = append(times, float64((cpu()-begun).Nanoseconds())/1e3)
	}
	sort.Float64s(times)
	if len(times) > 0 {
		a.Usec = times[len(times)/2]
	}
	return a
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var q question
		must(0, json.Unmarshal(lines.Bytes(), &q))
		fmt.Println(string(must(json.Marshal(ask(&q)))))
	}
}
