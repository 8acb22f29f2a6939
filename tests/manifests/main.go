// Reads the manifests by the types and schemas of those who run them, strictly, and prints them as
// one JSON object: {"compose": ..., "kubernetes": [...]}.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

func compose(path string) (any, error) {
	options, err := cli.NewProjectOptions([]string{path})
	if err != nil {
		return nil, err
	}
	return options.LoadProject(context.Background())
}

func kubernetes(path string) ([]any, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var objects []any
	for _, document := range bytes.Split(text, []byte("\n---\n")) {
		var meta metav1.TypeMeta
		if err := yaml.Unmarshal(document, &meta); err != nil {
			return nil, err
		}
		kinds := map[string]any{
			"v1/ConfigMap":                       &corev1.ConfigMap{},
			"v1/Secret":                          &corev1.Secret{},
			"apps/v1/Deployment":                 &appsv1.Deployment{},
			"networking.k8s.io/v1/NetworkPolicy": &networkingv1.NetworkPolicy{},
			"policy/v1/PodDisruptionBudget":      &policyv1.PodDisruptionBudget{},
		}
		kind := meta.APIVersion + "/" + meta.Kind
		object, known := kinds[kind]
		if !known {
			return nil, fmt.Errorf("unknown kind %s", kind)
		}
		if err := yaml.UnmarshalStrict(document, object); err != nil {
			return nil, fmt.Errorf("%s: %w", kind, err)
		}
		objects = append(objects, object)
	}
	return objects, nil
}

func main() {
	project, err := compose(os.Args[1])
	fail(os.Args[1], err)
	objects, err := kubernetes(os.Args[2])
	fail(os.Args[2], err)
	fail("printing", json.NewEncoder(os.Stdout).Encode(map[string]any{"compose": project, "kubernetes": objects}))
}

func fail(what string, err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
		os.Exit(1)
	}
}
