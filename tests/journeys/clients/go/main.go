// Drives AWS's client: lines of `command key=value ...` on standard input, `ok` or `error ...` for each.
package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/aws/amazon-s3-encryption-client-go/v4/algorithms"
	"github.com/aws/amazon-s3-encryption-client-go/v4/client"
	"github.com/aws/amazon-s3-encryption-client-go/v4/commitment"
	"github.com/aws/amazon-s3-encryption-client-go/v4/materials"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		if err := run(strings.Fields(lines.Text())); err != nil {
			fmt.Println("error", strings.ReplaceAll(err.Error(), "\n", " "))
		} else {
			fmt.Println("ok")
		}
	}
}

func run(words []string) error {
	given := map[string]string{}
	for _, word := range words[1:] {
		name, value, _ := strings.Cut(word, "=")
		given[name] = value
	}
	ctx := context.Background()
	resolver := aws.EndpointResolverWithOptionsFunc(func(string, string, ...interface{}) (aws.Endpoint, error) {
		region := os.Getenv("AWS_DEFAULT_REGION")
		return aws.Endpoint{URL: os.Getenv("AWS_ENDPOINT_URL"), HostnameImmutable: true, SigningRegion: region}, nil
	})
	settings, err := config.LoadDefaultConfig(ctx, config.WithEndpointResolverWithOptions(resolver))
	if err != nil {
		return err
	}
	plain := s3.NewFromConfig(settings, func(o *s3.Options) { o.UsePathStyle = true })
	keyring := materials.NewKmsKeyring(kms.NewFromConfig(settings), given["kms"], func(o *materials.KeyringOptions) {
		o.EnableLegacyWrappingAlgorithms = true
	})
	cmm, err := materials.NewCryptographicMaterialsManager(keyring)
	if err != nil {
		return err
	}
	encrypting, err := client.New(plain, cmm, func(o *client.EncryptionClientOptions) {
		o.CommitmentPolicy = commitment.REQUIRE_ENCRYPT_REQUIRE_DECRYPT
		if given["format"] == "V2" {
			o.CommitmentPolicy = commitment.FORBID_ENCRYPT_ALLOW_DECRYPT
			o.EncryptionAlgorithmSuite = algorithms.AlgAES256GCMIV12Tag16NoKDF
		}
	})
	if err != nil {
		return err
	}
	if pair, found := given["context"]; found {
		name, value, _ := strings.Cut(pair, ":")
		ctx = context.WithValue(ctx, "EncryptionContext", map[string]string{name: value})
	}
	if words[0] == "put" {
		body, err := os.ReadFile(given["file"])
		if err != nil {
			return err
		}
		_, err = encrypting.PutObject(ctx, &s3.PutObjectInput{
			Bucket: aws.String(given["bucket"]), Key: aws.String(given["key"]), Body: bytes.NewReader(body)})
		return err
	}
	answer, err := encrypting.GetObject(ctx, &s3.GetObjectInput{
		Bucket: aws.String(given["bucket"]), Key: aws.String(given["key"])})
	if err != nil {
		return err
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	return os.WriteFile(given["file"], body, 0o600)
}
