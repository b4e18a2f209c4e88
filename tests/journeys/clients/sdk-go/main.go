// The journey of the AWS SDK for Go v2; see ../SDKS.md.
package main

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/s3/manager"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

type journey struct {
	ctx     context.Context
	s3      *s3.Client
	kms     *kms.Client
	bucket  *string
	options []func(*s3.Options)
	config  aws.Config
}

// check ends the step with the message unless it holds.
func check(holds bool, format string, values ...any) {
	if !holds {
		panic(fmt.Errorf(format, values...))
	}
}

func must[T any](value T, err error) T {
	check(err == nil, "%v", err)
	return value
}

func refused(err error, code string) {
	var api smithy.APIError
	check(errors.As(err, &api), "not an error of the API: %v", err)
	check(api.ErrorCode() == code, "%s instead of %s: %s", api.ErrorCode(), code, api.ErrorMessage())
}

func random(size int) []byte {
	content := make([]byte, size)
	rand.Read(content)
	return content
}

func (j *journey) put(key string, content []byte) *s3.PutObjectInput {
	return &s3.PutObjectInput{Bucket: j.bucket, Key: &key, Body: bytes.NewReader(content)}
}

func (j *journey) get(key string) *s3.GetObjectInput {
	return &s3.GetObjectInput{Bucket: j.bucket, Key: &key}
}

func (j *journey) read(input *s3.GetObjectInput) []byte {
	output := must(j.s3.GetObject(j.ctx, input))
	defer output.Body.Close()
	return must(io.ReadAll(output.Body))
}

func (j *journey) object() {
	key, content := "förder/ 日本+&?%#'\"\\ .bin", random(300_000)
	input := j.put(key, content)
	input.Metadata = map[string]string{"colour": "green"}
	input.ContentType = aws.String("text/x-test")
	must(j.s3.PutObject(j.ctx, input))
	check(bytes.Equal(j.read(j.get(key)), content), "the content differs")
	head := must(j.s3.HeadObject(j.ctx, &s3.HeadObjectInput{Bucket: j.bucket, Key: &key}))
	check(*head.ContentLength == 300_000 && head.Metadata["colour"] == "green", "head: %v", head)
	ranged := j.get(key)
	ranged.Range = aws.String("bytes=65530-65545")
	check(bytes.Equal(j.read(ranged), content[65530:65546]), "the range differs")
}

func (j *journey) parts() {
	content := random(12<<20 + 1)
	uploader := manager.NewUploader(j.s3, func(u *manager.Uploader) { u.PartSize = 5 << 20 })
	done := must(uploader.Upload(j.ctx, j.put("parts", content)))
	check(strings.HasSuffix(*done.ETag, "-3\""), "ETag: %s", *done.ETag)
	buffer := manager.NewWriteAtBuffer(nil)
	must(manager.NewDownloader(j.s3).Download(j.ctx, buffer, j.get("parts")))
	check(bytes.Equal(buffer.Bytes(), content), "the content differs")
	// A reader that cannot seek makes the SDK sign what it does not know yet, in chunks with a trailer over TLS.
	input := j.put("stream", nil)
	input.Body = io.LimitReader(bytes.NewReader(content), int64(len(content)))
	must(uploader.Upload(j.ctx, input))
	check(bytes.Equal(j.read(j.get("stream")), content), "the streamed content differs")
}

func (j *journey) listing() {
	keys := []string{"list/a/1", "list/a/2", "list/b c", "list/dé", "list/e+f", "list/g&<>", "list/z/😀"}
	var objects []types.ObjectIdentifier
	for _, key := range keys {
		must(j.s3.PutObject(j.ctx, j.put(key, []byte("x"))))
		objects = append(objects, types.ObjectIdentifier{Key: aws.String(key)})
	}
	input := &s3.ListObjectsV2Input{Bucket: j.bucket, Prefix: aws.String("list/"), MaxKeys: aws.Int32(3)}
	var seen []string
	for pages := s3.NewListObjectsV2Paginator(j.s3, input); pages.HasMorePages(); {
		for _, one := range must(pages.NextPage(j.ctx)).Contents {
			seen = append(seen, *one.Key)
		}
	}
	check(slices.Equal(seen, keys), "listed: %v", seen)
	input.Delimiter, input.MaxKeys = aws.String("/"), nil
	folded := must(j.s3.ListObjectsV2(j.ctx, input)).CommonPrefixes
	check(len(folded) == 2 && *folded[0].Prefix == "list/a/" && *folded[1].Prefix == "list/z/", "folded: %v", folded)
	deleted := must(j.s3.DeleteObjects(j.ctx, &s3.DeleteObjectsInput{
		Bucket: j.bucket, Delete: &types.Delete{Objects: objects},
	}))
	check(len(deleted.Deleted) == len(keys), "deleted: %v", deleted)
}

func (j *journey) copy() {
	input := j.put("a b+c", []byte("content"))
	input.Metadata, input.Tagging = map[string]string{"m": "1"}, aws.String("t=1")
	must(j.s3.PutObject(j.ctx, input))
	must(j.s3.CopyObject(j.ctx, &s3.CopyObjectInput{
		Bucket: j.bucket, Key: aws.String("copied"), CopySource: aws.String(*j.bucket + "/" + url.PathEscape("a b+c")),
		MetadataDirective: types.MetadataDirectiveReplace, Metadata: map[string]string{"m": "2"},
	}))
	check(string(j.read(j.get("copied"))) == "content", "the content differs")
	head := must(j.s3.HeadObject(j.ctx, &s3.HeadObjectInput{Bucket: j.bucket, Key: aws.String("copied")}))
	check(head.Metadata["m"] == "2", "metadata: %v", head.Metadata)
	tags := must(j.s3.GetObjectTagging(j.ctx, &s3.GetObjectTaggingInput{Bucket: j.bucket, Key: aws.String("copied")}))
	check(len(tags.TagSet) == 1 && *tags.TagSet[0].Value == "1", "tags: %v", tags.TagSet)
}

func (j *journey) versions() {
	bucket := aws.String(os.Getenv("JOURNEY_VERSIONED"))
	write := func(content string) *s3.PutObjectOutput {
		input := j.put("key", []byte(content))
		input.Bucket = bucket
		return must(j.s3.PutObject(j.ctx, input))
	}
	first := write("one")
	write("two")
	deleted := must(j.s3.DeleteObject(j.ctx, &s3.DeleteObjectInput{Bucket: bucket, Key: aws.String("key")}))
	check(*deleted.DeleteMarker, "no delete marker")
	input := j.get("key")
	input.Bucket = bucket
	_, err := j.s3.GetObject(j.ctx, input)
	refused(err, "NoSuchKey")
	input.VersionId = first.VersionId
	check(string(j.read(input)) == "one", "the older version differs")
}

func (j *journey) modes() {
	for _, mode := range []types.ServerSideEncryption{"AES256", "aws:kms", "aws:kms:dsse"} {
		content := random(100_000)
		input := j.put(string(mode), content)
		input.ServerSideEncryption = mode
		if mode != "AES256" {
			input.SSEKMSKeyId = aws.String(os.Getenv("JOURNEY_KEY"))
		}
		if mode == "aws:kms" {
			input.BucketKeyEnabled = aws.Bool(true)
		}
		told := must(j.s3.PutObject(j.ctx, input))
		check(told.ServerSideEncryption == mode, "mode: %s", told.ServerSideEncryption)
		check(aws.ToString(told.SSEKMSKeyId) == aws.ToString(input.SSEKMSKeyId), "key: %v", told.SSEKMSKeyId)
		check(aws.ToBool(told.BucketKeyEnabled) == (mode == "aws:kms"), "Bucket Key: %v", told.BucketKeyEnabled)
		check(bytes.Equal(j.read(j.get(string(mode))), content), "the content differs")
	}
}

func (j *journey) defaults() {
	for name, mode := range map[string]types.ServerSideEncryption{
		"JOURNEY_KMS_BUCKET": "aws:kms", "JOURNEY_DSSE_BUCKET": "aws:kms:dsse",
	} {
		put, get := j.put("go", []byte("content")), j.get("go")
		put.Bucket = aws.String(os.Getenv(name))
		get.Bucket = put.Bucket
		told := must(j.s3.PutObject(j.ctx, put))
		check(told.ServerSideEncryption == mode && *told.SSEKMSKeyId == os.Getenv("JOURNEY_KEY"), "told: %v", told)
		check(string(j.read(get)) == "content", "the content differs")
	}
}

func (j *journey) customerKey() {
	mine, md := customer(random(32))
	put := j.put("customer", []byte("content"))
	put.SSECustomerAlgorithm, put.SSECustomerKey, put.SSECustomerKeyMD5 = aws.String("AES256"), mine, md
	if !strings.HasPrefix(os.Getenv("AWS_ENDPOINT_URL"), "https:") {
		_, err := j.s3.PutObject(j.ctx, put)
		refused(err, "InvalidRequest")
		return
	}
	must(j.s3.PutObject(j.ctx, put))
	get := j.get("customer")
	_, err := j.s3.GetObject(j.ctx, get)
	refused(err, "InvalidRequest")
	get.SSECustomerAlgorithm, get.SSECustomerKey, get.SSECustomerKeyMD5 = aws.String("AES256"), mine, md
	check(string(j.read(get)) == "content", "the content differs")
	get.SSECustomerKey, get.SSECustomerKeyMD5 = customer(random(32))
	_, err = j.s3.GetObject(j.ctx, get)
	refused(err, "AccessDenied")
}

func customer(key []byte) (encoded, digest *string) {
	sum := md5.Sum(key)
	return aws.String(base64.StdEncoding.EncodeToString(key)), aws.String(base64.StdEncoding.EncodeToString(sum[:]))
}

func (j *journey) presigned() {
	client := plainClient()
	signer := s3.NewPresignClient(j.s3)
	put := must(signer.PresignPutObject(j.ctx, &s3.PutObjectInput{Bucket: j.bucket, Key: aws.String("pre signed")}))
	request := must(http.NewRequest("PUT", put.URL, strings.NewReader("by URL")))
	check(must(client.Do(request)).StatusCode == 200, "the presigned PUT was refused")
	get := must(signer.PresignGetObject(j.ctx, j.get("pre signed")))
	answer := must(client.Get(get.URL))
	check(string(must(io.ReadAll(answer.Body))) == "by URL", "the content differs")
	check(must(client.Get(strings.Replace(get.URL, "pre%20signed", "other", 1))).StatusCode == 403, "not refused")
}

// plainClient knows the CA of the server, as the SDK does by AWS_CA_BUNDLE.
func plainClient() *http.Client {
	path := os.Getenv("AWS_CA_BUNDLE")
	if path == "" {
		return http.DefaultClient
	}
	pool := x509.NewCertPool()
	check(pool.AppendCertsFromPEM(must(os.ReadFile(path))), "the CA bundle holds no certificate")
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
}

func (j *journey) errors() {
	_, err := j.s3.GetObject(j.ctx, j.get("absent"))
	var absent *types.NoSuchKey
	check(errors.As(err, &absent), "not NoSuchKey: %v", err)
	once := j.put("once", []byte("x"))
	once.IfNoneMatch = aws.String("*")
	must(j.s3.PutObject(j.ctx, once))
	_, err = j.s3.PutObject(j.ctx, once)
	refused(err, "PreconditionFailed")
	stranger := s3.NewFromConfig(j.config, append(j.options, func(o *s3.Options) {
		o.Credentials = credentials.NewStaticCredentialsProvider(os.Getenv("AWS_ACCESS_KEY_ID"), "not the secret", "")
	})...)
	for _, size := range []int{10, 20 << 20} {
		_, err = stranger.PutObject(j.ctx, j.put("stranger", make([]byte, size)))
		refused(err, "SignatureDoesNotMatch")
	}
}

func (j *journey) keys() {
	key, purpose := aws.String(os.Getenv("JOURNEY_KEY")), map[string]string{"purpose": "journey"}
	made := must(j.kms.GenerateDataKey(j.ctx, &kms.GenerateDataKeyInput{
		KeyId: key, KeySpec: kmstypes.DataKeySpecAes256, EncryptionContext: purpose,
	}))
	open := &kms.DecryptInput{CiphertextBlob: made.CiphertextBlob, EncryptionContext: purpose}
	check(bytes.Equal(must(j.kms.Decrypt(j.ctx, open)).Plaintext, made.Plaintext), "the data key differs")
	must(j.kms.RotateKeyOnDemand(j.ctx, &kms.RotateKeyOnDemandInput{KeyId: key}))
	check(bytes.Equal(must(j.kms.Decrypt(j.ctx, open)).Plaintext, made.Plaintext), "it differs after a rotation")
	open.EncryptionContext = nil
	_, err := j.kms.Decrypt(j.ctx, open)
	var foreign *kmstypes.InvalidCiphertextException
	check(errors.As(err, &foreign), "not InvalidCiphertextException: %v", err)
	alias := aws.String(fmt.Sprintf("alias/go-%x", random(6)))
	must(j.kms.CreateAlias(j.ctx, &kms.CreateAliasInput{AliasName: alias, TargetKeyId: key}))
	told := must(j.kms.DescribeKey(j.ctx, &kms.DescribeKeyInput{KeyId: alias}))
	check(*told.KeyMetadata.Arn == *key, "the alias names %s", *told.KeyMetadata.Arn)
}

func run(name string, step func()) {
	defer func() {
		if caught := recover(); caught != nil {
			fmt.Printf("failed %s: %s\n", name, strings.ReplaceAll(fmt.Sprint(caught), "\n", " | "))
		}
	}()
	step()
	fmt.Println("ok", name)
}

func main() {
	ctx := context.Background()
	once := func() aws.Retryer { return aws.NopRetryer{} }
	given := must(config.LoadDefaultConfig(ctx, config.WithRetryer(once)))
	options := []func(*s3.Options){func(o *s3.Options) { o.UsePathStyle = true }}
	j := &journey{
		ctx: ctx, s3: s3.NewFromConfig(given, options...), kms: kms.NewFromConfig(given),
		bucket: aws.String(os.Getenv("JOURNEY_BUCKET")), options: options, config: given,
	}
	for _, one := range []struct {
		name string
		step func()
	}{
		{"object", j.object}, {"parts", j.parts}, {"listing", j.listing}, {"copy", j.copy}, {"versions", j.versions},
		{"modes", j.modes}, {"defaults", j.defaults}, {"customer-key", j.customerKey}, {"presigned", j.presigned},
		{"errors", j.errors}, {"kms", j.keys},
	} {
		run(one.name, one.step)
	}
}
