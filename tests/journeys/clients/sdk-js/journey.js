// The journey of the AWS SDK for JavaScript v3; see ../SDKS.md.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import {
  CopyObjectCommand, DeleteObjectCommand, DeleteObjectsCommand, GetObjectCommand, GetObjectTaggingCommand,
  HeadObjectCommand, ListObjectsV2Command, NoSuchKey, PutObjectCommand, S3Client, paginateListObjectsV2,
} from "@aws-sdk/client-s3";
import {
  CreateAliasCommand, DecryptCommand, DescribeKeyCommand, GenerateDataKeyCommand, InvalidCiphertextException, KMSClient,
  RotateKeyOnDemandCommand,
} from "@aws-sdk/client-kms";
import { Upload } from "@aws-sdk/lib-storage";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";

const env = process.env;
const secure = env.AWS_ENDPOINT_URL.startsWith("https:");
const options = { forcePathStyle: true, maxAttempts: 1 };
const s3 = new S3Client(options);
const kms = new KMSClient({ maxAttempts: 1 });
const Bucket = env.JOURNEY_BUCKET;

const put = (input) => s3.send(new PutObjectCommand({ Bucket, ...input }));
const get = (input) => s3.send(new GetObjectCommand({ Bucket, ...input }));
const read = async (input) => Buffer.from(await (await get(input)).Body.transformToByteArray());

async function refused(promise, name, status) {
  const error = await promise.then(() => assert.fail(`not refused: ${name}`), (caught) => caught);
  assert.equal(error.name, name);
  if (status) assert.equal(error.$metadata.httpStatusCode, status);
  return error;
}

const steps = {
  async object() {
    const Body = randomBytes(300_000);
    const Key = "förder/ 日本+&?%#'\"\\ .bin";
    await put({ Key, Body, Metadata: { colour: "green" }, ContentType: "text/x-test" });
    assert.ok((await read({ Key })).equals(Body));
    const head = await s3.send(new HeadObjectCommand({ Bucket, Key }));
    assert.deepEqual([head.ContentLength, head.Metadata, head.ContentType], [300_000, { colour: "green" }, "text/x-test"]);
    assert.ok((await read({ Key, Range: "bytes=65530-65545" })).equals(Body.subarray(65530, 65546)));
  },
  async parts() {
    const Body = randomBytes(12 * 1024 * 1024 + 1);
    const done = await new Upload({ client: s3, params: { Bucket, Key: "parts", Body }, partSize: 5 << 20 }).done();
    assert.match(done.ETag, /-3"$/);
    assert.ok((await read({ Key: "parts" })).equals(Body));
  },
  async listing() {
    const keys = ["a/1", "a/2", "b c", "dé", "e+f", "g&<>", "z/😀"].map((key) => `list/${key}`);
    for (const Key of keys) await put({ Key, Body: "x" });
    const seen = [];
    for await (const page of paginateListObjectsV2({ client: s3, pageSize: 3 }, { Bucket, Prefix: "list/" }))
      seen.push(...page.Contents.map((one) => one.Key));
    assert.deepEqual(seen, keys);
    const folded = await s3.send(new ListObjectsV2Command({ Bucket, Prefix: "list/", Delimiter: "/" }));
    assert.deepEqual(folded.CommonPrefixes.map((one) => one.Prefix), ["list/a/", "list/z/"]);
    const Delete = { Objects: keys.map((Key) => ({ Key })) };
    assert.equal((await s3.send(new DeleteObjectsCommand({ Bucket, Delete }))).Deleted.length, keys.length);
  },
  async copy() {
    await put({ Key: "a b+c", Body: "content", Metadata: { m: "1" }, Tagging: "t=1" });
    const copied = { Bucket, Key: "copied", CopySource: `${Bucket}/${encodeURIComponent("a b+c")}` };
    await s3.send(new CopyObjectCommand({ ...copied, MetadataDirective: "REPLACE", Metadata: { m: "2" } }));
    assert.equal((await read({ Key: "copied" })).toString(), "content");
    assert.deepEqual((await s3.send(new HeadObjectCommand({ Bucket, Key: "copied" }))).Metadata, { m: "2" });
    const tags = await s3.send(new GetObjectTaggingCommand({ Bucket, Key: "copied" }));
    assert.deepEqual(tags.TagSet, [{ Key: "t", Value: "1" }]);
  },
  async versions() {
    const where = { Bucket: env.JOURNEY_VERSIONED, Key: "key" };
    const first = await put({ ...where, Body: "one" });
    await put({ ...where, Body: "two" });
    assert.equal((await s3.send(new DeleteObjectCommand(where))).DeleteMarker, true);
    await refused(get(where), "NoSuchKey", 404);
    assert.equal((await read({ ...where, VersionId: first.VersionId })).toString(), "one");
  },
  async modes() {
    for (const [mode, more] of [["AES256", {}], ["aws:kms", { BucketKeyEnabled: true }], ["aws:kms:dsse", {}]]) {
      const SSEKMSKeyId = mode === "AES256" ? undefined : env.JOURNEY_KEY;
      const Body = randomBytes(100_000);
      const told = await put({ Key: mode, Body, ServerSideEncryption: mode, SSEKMSKeyId, ...more });
      assert.deepEqual([told.ServerSideEncryption, told.SSEKMSKeyId], [mode, SSEKMSKeyId]);
      assert.equal(Boolean(told.BucketKeyEnabled), Boolean(more.BucketKeyEnabled));
      assert.ok((await read({ Key: mode })).equals(Body));
    }
  },
  async defaults() {
    for (const [name, mode] of [[env.JOURNEY_KMS_BUCKET, "aws:kms"], [env.JOURNEY_DSSE_BUCKET, "aws:kms:dsse"]]) {
      await put({ Bucket: name, Key: "js", Body: "content" });
      const got = await get({ Bucket: name, Key: "js" });
      assert.deepEqual([got.ServerSideEncryption, got.SSEKMSKeyId], [mode, env.JOURNEY_KEY]);
      assert.equal(await got.Body.transformToString(), "content");
    }
  },
  async "customer-key"() {
    const key = (raw) => ({
      SSECustomerAlgorithm: "AES256",
      SSECustomerKey: raw.toString("base64"),
      SSECustomerKeyMD5: createHash("md5").update(raw).digest("base64"),
    });
    const mine = key(randomBytes(32));
    if (!secure) {
      await refused(put({ Key: "customer", Body: "x", ...mine }), "InvalidRequest", 400);
      return;
    }
    await put({ Key: "customer", Body: "content", ...mine });
    assert.equal((await read({ Key: "customer", ...mine })).toString(), "content");
    await refused(get({ Key: "customer" }), "InvalidRequest", 400);
    await refused(get({ Key: "customer", ...key(randomBytes(32)) }), "AccessDenied", 403);
  },
  async presigned() {
    const where = { Bucket, Key: "pre signed" };
    const putUrl = await getSignedUrl(s3, new PutObjectCommand(where), { expiresIn: 60 });
    assert.equal((await fetch(putUrl, { method: "PUT", body: "by URL" })).status, 200);
    const getUrl = await getSignedUrl(s3, new GetObjectCommand(where), { expiresIn: 60 });
    assert.equal(await (await fetch(getUrl)).text(), "by URL");
    assert.equal((await fetch(getUrl.replace("pre%20signed", "other"))).status, 403);
  },
  async errors() {
    const error = await refused(get({ Key: "absent" }), "NoSuchKey", 404);
    assert.ok(error instanceof NoSuchKey);
    await put({ Key: "once", Body: "x" });
    await refused(put({ Key: "once", Body: "y", IfNoneMatch: "*" }), "PreconditionFailed", 412);
    const credentials = { accessKeyId: env.AWS_ACCESS_KEY_ID, secretAccessKey: "not the secret" };
    const stranger = new S3Client({ ...options, credentials });
    for (const size of [10, 20 << 20]) {
      const command = new PutObjectCommand({ Bucket, Key: "stranger", Body: Buffer.alloc(size) });
      await refused(stranger.send(command), "SignatureDoesNotMatch", 403);
    }
  },
  async kms() {
    const KeyId = env.JOURNEY_KEY;
    const EncryptionContext = { purpose: "journey" };
    const made = await kms.send(new GenerateDataKeyCommand({ KeyId, KeySpec: "AES_256", EncryptionContext }));
    const sealed = { CiphertextBlob: made.CiphertextBlob };
    const before = await kms.send(new DecryptCommand({ ...sealed, EncryptionContext }));
    assert.deepEqual(before.Plaintext, made.Plaintext);
    const error = await refused(kms.send(new DecryptCommand(sealed)), "InvalidCiphertextException", 400);
    assert.ok(error instanceof InvalidCiphertextException);
    await kms.send(new RotateKeyOnDemandCommand({ KeyId }));
    assert.deepEqual((await kms.send(new DecryptCommand({ ...sealed, EncryptionContext }))).Plaintext, made.Plaintext);
    const AliasName = `alias/js-${randomBytes(6).toString("hex")}`;
    await kms.send(new CreateAliasCommand({ AliasName, TargetKeyId: KeyId }));
    assert.equal((await kms.send(new DescribeKeyCommand({ KeyId: AliasName }))).KeyMetadata.Arn, KeyId);
  },
};

for (const [name, step] of Object.entries(steps)) {
  try {
    await step();
    console.log(`ok ${name}`);
  } catch (error) {
    console.log(`failed ${name}: ${String(error.stack ?? error).replaceAll("\n", " | ")}`);
  }
}
