// Decodes Kubernetes objects strictly into the Go types of their APIs, and tells what of them does not fit together.
//
//	k8s-check [-secrets FILE] [-given FILE] FOLDER|FILE…
//
// Exit code 0: all fits; 1: a line for each finding; 2: wrong usage.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	secrets := flag.String("secrets", "", "a file of Secrets that are made beside")
	list := flag.String("given", "", "a file of lines KIND NAME KEY…: what else is made beside")
	flag.Parse()
	if flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	report, beside := &report{}, given{}
	if *secrets != "" {
		beside.addSecrets(*secrets, report)
	}
	if *list != "" {
		if err := beside.addList(*list); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}
	objects := readAll(flag.Args(), report)
	judge(newFolder(objects, beside), report)
	lines := report.sorted()
	for _, line := range lines {
		fmt.Println(line)
	}
	if len(lines) > 0 {
		os.Exit(1)
	}
	fmt.Printf("%d objects fit\n", len(objects))
}

func judge(f *folder, found *report) {
	for _, rule := range []func(*folder, *report){
		namesFit, selectorsFit, workloadsFit, volumesFit, referencesFit, environmentFits, pathsFit, portsFit, probesFit, policiesFit, edgeFits, scalingFits, securityFits, kustomizeFits,
	} {
		rule(f, found)
	}
}
