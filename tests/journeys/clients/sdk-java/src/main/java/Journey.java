import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.URI;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.security.cert.CertificateFactory;
import java.time.Duration;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Consumer;
import javax.net.ssl.HttpsURLConnection;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.awscore.exception.AwsServiceException;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.core.async.AsyncRequestBody;
import software.amazon.awssdk.core.async.AsyncResponseTransformer;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.http.TlsTrustManagersProvider;
import software.amazon.awssdk.http.apache5.Apache5HttpClient;
import software.amazon.awssdk.http.nio.netty.NettyNioAsyncHttpClient;
import software.amazon.awssdk.services.kms.KmsClient;
import software.amazon.awssdk.services.kms.model.DataKeySpec;
import software.amazon.awssdk.services.kms.model.InvalidCiphertextException;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.S3ClientBuilder;
import software.amazon.awssdk.services.s3.model.GetObjectRequest;
import software.amazon.awssdk.services.s3.model.MetadataDirective;
import software.amazon.awssdk.services.s3.model.NoSuchKeyException;
import software.amazon.awssdk.services.s3.model.ObjectIdentifier;
import software.amazon.awssdk.services.s3.model.PutObjectRequest;
import software.amazon.awssdk.services.s3.model.PutObjectResponse;
import software.amazon.awssdk.services.s3.model.S3Object;
import software.amazon.awssdk.services.s3.model.ServerSideEncryption;
import software.amazon.awssdk.services.s3.presigner.S3Presigner;
import software.amazon.awssdk.transfer.s3.S3TransferManager;

/** The journey of the AWS SDK for Java v2; see ../SDKS.md. */
public final class Journey {
    private static final Map<String, String> ENV = System.getenv();
    private static final boolean SECURE = ENV.get("AWS_ENDPOINT_URL").startsWith("https:");
    private static final SecureRandom RANDOM = new SecureRandom();

    private final TrustManager[] trust = trust();
    private final TlsTrustManagersProvider trusted = () -> trust;
    private final S3Client s3 = client(builder -> {});
    private final String bucket = ENV.get("JOURNEY_BUCKET");
    private final String key = ENV.get("JOURNEY_KEY");

    private Journey() throws Exception {}

    /** What a step does; it may throw anything. */
    private interface Step {
        void run() throws Exception;
    }

    public static void main(String[] arguments) throws Exception {
        Journey journey = new Journey();
        journey.run("object", journey::object);
        journey.run("parts", journey::parts);
        journey.run("listing", journey::listing);
        journey.run("copy", journey::copy);
        journey.run("versions", journey::versions);
        journey.run("modes", journey::modes);
        journey.run("defaults", journey::defaults);
        journey.run("customer-key", journey::customerKey);
        journey.run("presigned", journey::presigned);
        journey.run("errors", journey::errors);
        journey.run("kms", journey::keys);
        System.exit(0);
    }

    private void run(String name, Step step) {
        try {
            step.run();
            System.out.println("ok " + name);
        } catch (Throwable caught) {
            String where = Arrays.stream(caught.getStackTrace()).limit(12).toList().toString();
            System.out.println("failed " + name + ": " + (caught + " " + where).replace("\n", " | "));
        }
    }

    private void object() throws Exception {
        String name = "förder/ 日本+&?%#'\"\\ .bin";
        byte[] content = random(300_000);
        put(name, content, r -> r.metadata(Map.of("colour", "green")).contentType("text/x-test"));
        equal(content, read(name, r -> {}));
        var head = s3.headObject(r -> r.bucket(bucket).key(name));
        same(List.of(300_000L, Map.of("colour", "green"), "text/x-test"),
            List.of(head.contentLength(), head.metadata(), head.contentType()));
        equal(Arrays.copyOfRange(content, 65530, 65546), read(name, r -> r.range("bytes=65530-65545")));
    }

    private void parts() throws Exception {
        byte[] content = random((12 << 20) + 1);
        URI endpoint = URI.create(ENV.get("AWS_ENDPOINT_URL"));
        try (S3AsyncClient async = S3AsyncClient.builder().endpointOverride(endpoint).forcePathStyle(true)
                .httpClientBuilder(netty()).multipartEnabled(true)
                .multipartConfiguration(c -> c.minimumPartSizeInBytes(5L << 20).thresholdInBytes(5L << 20)).build();
            S3TransferManager manager = S3TransferManager.builder().s3Client(async).build()) {
            var done = manager.upload(u -> u.putObjectRequest(r -> r.bucket(bucket).key("parts"))
                .requestBody(AsyncRequestBody.fromBytes(content))).completionFuture().join();
            check(done.response().eTag().endsWith("-3\""), "ETag: " + done.response().eTag());
            equal(content, read("parts", r -> {}));
            var whole = async.getObject(r -> r.bucket(bucket).key("parts"), AsyncResponseTransformer.toBytes()).join();
            equal(content, whole.asByteArrayUnsafe());
        }
    }

    private NettyNioAsyncHttpClient.Builder netty() {
        var builder = NettyNioAsyncHttpClient.builder();
        return trust == null ? builder : builder.tlsTrustManagersProvider(trusted);
    }

    private void listing() throws Exception {
        List<String> names = List.of("list/a/1", "list/a/2", "list/b c", "list/dé", "list/e+f", "list/g&<>", "list/z/😀");
        for (String name : names) put(name, "x".getBytes(UTF_8), r -> {});
        var pages = s3.listObjectsV2Paginator(r -> r.bucket(bucket).prefix("list/").maxKeys(3));
        same(names, pages.contents().stream().map(S3Object::key).toList());
        var folded = s3.listObjectsV2(r -> r.bucket(bucket).prefix("list/").delimiter("/")).commonPrefixes();
        same(List.of("list/a/", "list/z/"), folded.stream().map(one -> one.prefix()).toList());
        var objects = names.stream().map(name -> ObjectIdentifier.builder().key(name).build()).toList();
        same(names.size(), s3.deleteObjects(r -> r.bucket(bucket).delete(d -> d.objects(objects))).deleted().size());
    }

    private void copy() throws Exception {
        put("a b+c", "content".getBytes(UTF_8), r -> r.metadata(Map.of("m", "1")).tagging("t=1"));
        s3.copyObject(r -> r.sourceBucket(bucket).sourceKey("a b+c").destinationBucket(bucket).destinationKey("copied")
            .metadataDirective(MetadataDirective.REPLACE).metadata(Map.of("m", "2")));
        equal("content".getBytes(UTF_8), read("copied", r -> {}));
        same(Map.of("m", "2"), s3.headObject(r -> r.bucket(bucket).key("copied")).metadata());
        same("1", s3.getObjectTagging(r -> r.bucket(bucket).key("copied")).tagSet().get(0).value());
    }

    private void versions() throws Exception {
        String versioned = ENV.get("JOURNEY_VERSIONED");
        var first = put("key", "one".getBytes(UTF_8), r -> r.bucket(versioned));
        put("key", "two".getBytes(UTF_8), r -> r.bucket(versioned));
        check(s3.deleteObject(r -> r.bucket(versioned).key("key")).deleteMarker(), "no delete marker");
        refused("NoSuchKey", () -> read("key", r -> r.bucket(versioned)));
        equal("one".getBytes(UTF_8), read("key", r -> r.bucket(versioned).versionId(first.versionId())));
    }

    private void modes() throws Exception {
        for (String mode : List.of("AES256", "aws:kms", "aws:kms:dsse")) {
            byte[] content = random(100_000);
            String named = mode.equals("AES256") ? null : key;
            Boolean bucketKey = mode.equals("aws:kms") ? true : null;
            var told = put(mode, content, r -> r.serverSideEncryption(mode).ssekmsKeyId(named).bucketKeyEnabled(bucketKey));
            same(mode, told.serverSideEncryptionAsString());
            same(named, told.ssekmsKeyId());
            same(bucketKey, told.bucketKeyEnabled());
            equal(content, read(mode, r -> {}));
        }
    }

    private void defaults() throws Exception {
        var modes = Map.of(
            "JOURNEY_KMS_BUCKET", ServerSideEncryption.AWS_KMS, "JOURNEY_DSSE_BUCKET", ServerSideEncryption.AWS_KMS_DSSE);
        for (var one : modes.entrySet()) {
            String name = ENV.get(one.getKey());
            var told = put("java", "content".getBytes(UTF_8), r -> r.bucket(name));
            same(List.of(one.getValue(), key), List.of(told.serverSideEncryption(), told.ssekmsKeyId()));
            equal("content".getBytes(UTF_8), read("java", r -> r.bucket(name)));
        }
    }

    private void customerKey() throws Exception {
        byte[] mine = random(32);
        byte[] other = random(32);
        Consumer<PutObjectRequest.Builder> sealing =
            r -> r.sseCustomerAlgorithm("AES256").sseCustomerKey(base64(mine)).sseCustomerKeyMD5(base64(md5(mine)));
        byte[] content = "content".getBytes(UTF_8);
        if (!SECURE) {
            refused("InvalidRequest", () -> put("customer", content, sealing));
            return;
        }
        put("customer", content, sealing);
        equal(content, read("customer", opening(mine)));
        refused("InvalidRequest", () -> read("customer", r -> {}));
        refused("AccessDenied", () -> read("customer", opening(other)));
    }

    private static Consumer<GetObjectRequest.Builder> opening(byte[] raw) {
        return r -> r.sseCustomerAlgorithm("AES256").sseCustomerKey(base64(raw)).sseCustomerKeyMD5(base64(md5(raw)));
    }

    private void presigned() throws Exception {
        String name = "pre signed";
        try (S3Presigner signer = S3Presigner.builder().s3Client(s3).endpointOverride(
                URI.create(ENV.get("AWS_ENDPOINT_URL"))).build()) {
            var put = signer.presignPutObject(p -> p.signatureDuration(Duration.ofMinutes(1))
                .putObjectRequest(r -> r.bucket(bucket).key(name)));
            HttpURLConnection up = connect(put.url());
            up.setRequestMethod("PUT");
            up.setDoOutput(true);
            up.getOutputStream().write("by URL".getBytes(UTF_8));
            same(200, up.getResponseCode());
            var get = signer.presignGetObject(p -> p.signatureDuration(Duration.ofMinutes(1))
                .getObjectRequest(r -> r.bucket(bucket).key(name)));
            equal("by URL".getBytes(UTF_8), connect(get.url()).getInputStream().readAllBytes());
            URL elsewhere = new URL(get.url().toString().replace("pre%20signed", "other"));
            same(403, connect(elsewhere).getResponseCode());
        }
    }

    private HttpURLConnection connect(URL url) throws Exception {
        HttpURLConnection connection = (HttpURLConnection) url.openConnection();
        if (connection instanceof HttpsURLConnection secured) {
            SSLContext tls = SSLContext.getInstance("TLS");
            tls.init(null, trust, null);
            secured.setSSLSocketFactory(tls.getSocketFactory());
        }
        return connection;
    }

    private void errors() throws Exception {
        check(refused("NoSuchKey", () -> read("absent", r -> {})) instanceof NoSuchKeyException, "not its own type");
        put("once", new byte[1], r -> r.ifNoneMatch("*"));
        refused("PreconditionFailed", () -> put("once", new byte[1], r -> r.ifNoneMatch("*")));
        var wrong = StaticCredentialsProvider.create(AwsBasicCredentials.create(ENV.get("AWS_ACCESS_KEY_ID"), "not it"));
        S3Client stranger = client(builder -> builder.credentialsProvider(wrong));
        for (int size : List.of(10, 20 << 20)) {
            RequestBody body = RequestBody.fromBytes(new byte[size]);
            refused("SignatureDoesNotMatch", () -> stranger.putObject(r -> r.bucket(bucket).key("stranger"), body));
        }
    }

    private void keys() throws Exception {
        try (KmsClient kms = KmsClient.builder().httpClientBuilder(http()).build()) {
            Map<String, String> context = Map.of("purpose", "journey");
            var made = kms.generateDataKey(r -> r.keyId(key).keySpec(DataKeySpec.AES_256).encryptionContext(context));
            SdkBytes sealed = made.ciphertextBlob();
            same(made.plaintext(), kms.decrypt(r -> r.ciphertextBlob(sealed).encryptionContext(context)).plaintext());
            kms.rotateKeyOnDemand(r -> r.keyId(key));
            same(made.plaintext(), kms.decrypt(r -> r.ciphertextBlob(sealed).encryptionContext(context)).plaintext());
            var refusal = refused("InvalidCiphertextException", () -> kms.decrypt(r -> r.ciphertextBlob(sealed)));
            check(refusal instanceof InvalidCiphertextException, "not its own type");
            String alias = "alias/java-" + HexFormat.of().formatHex(random(6));
            kms.createAlias(r -> r.aliasName(alias).targetKeyId(key));
            same(key, kms.describeKey(r -> r.keyId(alias)).keyMetadata().arn());
        }
    }

    // --- clients

    private S3Client client(Consumer<S3ClientBuilder> change) {
        S3ClientBuilder builder = S3Client.builder().forcePathStyle(true).httpClientBuilder(http())
            .overrideConfiguration(c -> c.retryStrategy(b -> b.maxAttempts(1)));
        change.accept(builder);
        return builder.build();
    }

    private Apache5HttpClient.Builder http() {
        var builder = Apache5HttpClient.builder();
        return trust == null ? builder : builder.tlsTrustManagersProvider(trusted);
    }

    /** The CA that AWS_CA_BUNDLE names; Java's SDK does not read it by itself. Null without TLS. */
    private static TrustManager[] trust() throws Exception {
        if (!SECURE) return null;
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        try (InputStream file = Files.newInputStream(Path.of(ENV.get("AWS_CA_BUNDLE")))) {
            store.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(file));
        }
        TrustManagerFactory factory = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        factory.init(store);
        return factory.getTrustManagers();
    }

    private PutObjectResponse put(String name, byte[] content, Consumer<PutObjectRequest.Builder> change) {
        var request = PutObjectRequest.builder().bucket(bucket).key(name);
        change.accept(request);
        return s3.putObject(request.build(), RequestBody.fromBytes(content));
    }

    private byte[] read(String name, Consumer<GetObjectRequest.Builder> change) {
        var request = GetObjectRequest.builder().bucket(bucket).key(name);
        change.accept(request);
        return s3.getObjectAsBytes(request.build()).asByteArrayUnsafe();
    }

    // --- checks

    private static void check(boolean holds, String message) {
        if (!holds) throw new AssertionError(message);
    }

    private static void equal(byte[] wanted, byte[] got) {
        check(Arrays.equals(wanted, got), "the content differs");
    }

    private static void same(Object wanted, Object got) {
        check(Objects.equals(wanted, got), got + " instead of " + wanted);
    }

    private static AwsServiceException refused(String code, Step step) throws Exception {
        try {
            step.run();
        } catch (AwsServiceException caught) {
            same(code, caught.awsErrorDetails().errorCode());
            return caught;
        }
        throw new AssertionError("not refused: " + code);
    }

    private static byte[] random(int size) {
        byte[] content = new byte[size];
        RANDOM.nextBytes(content);
        return content;
    }

    private static String base64(byte[] raw) {
        return Base64.getEncoder().encodeToString(raw);
    }

    private static byte[] md5(byte[] raw) {
        try {
            return MessageDigest.getInstance("MD5").digest(raw);
        } catch (Exception caught) {
            throw new IllegalStateException(caught);
        }
    }
}
