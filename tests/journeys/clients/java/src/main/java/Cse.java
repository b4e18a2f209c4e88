import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.interfaces.RSAPrivateCrtKey;
import java.security.spec.PKCS8EncodedKeySpec;
import java.security.spec.RSAPublicKeySpec;
import java.util.Base64;
import java.util.HashMap;
import java.util.Map;
import javax.crypto.SecretKey;
import javax.crypto.spec.SecretKeySpec;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.kms.KmsClient;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.encryption.s3.CommitmentPolicy;
import software.amazon.encryption.s3.S3EncryptionClient;
import software.amazon.encryption.s3.algorithms.AlgorithmSuite;
import software.amazon.encryption.s3.internal.InstructionFileConfig;
import software.amazon.encryption.s3.internal.ReEncryptInstructionFileRequest;
import software.amazon.encryption.s3.materials.AesKeyring;
import software.amazon.encryption.s3.materials.Keyring;
import software.amazon.encryption.s3.materials.KmsKeyring;
import software.amazon.encryption.s3.materials.MaterialsDescription;
import software.amazon.encryption.s3.materials.PartialRsaKeyPair;
import software.amazon.encryption.s3.materials.RawKeyring;
import software.amazon.encryption.s3.materials.RsaKeyring;

/** Drives AWS's client: lines of `command key=value ...` on standard input, `ok` or `error ...` for each. */
public class Cse {
    private static final URI ENDPOINT = URI.create(System.getenv("AWS_ENDPOINT_URL"));
    private static final Region REGION = Region.of(System.getenv("AWS_DEFAULT_REGION"));

    public static void main(String[] args) throws Exception {
        java.io.BufferedReader lines = new java.io.BufferedReader(new java.io.InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            try {
                run(line.trim().split(" "));
                System.out.println("ok");
            } catch (Exception e) {
                System.out.println("error " + e.toString().replace('\n', ' ') + " / " + e.getCause());
            }
            System.out.flush();
        }
        System.exit(0);
    }

    private static void run(String[] words) throws Exception {
        Map<String, String> given = new HashMap<>();
        for (int i = 1; i < words.length; i++) {
            int at = words[i].indexOf('=');
            given.put(words[i].substring(0, at), words[i].substring(at + 1));
        }
        try (S3Client plain = S3Client.builder().endpointOverride(ENDPOINT).region(REGION).forcePathStyle(true).build()) {
            S3EncryptionClient client = client(given, plain);
            String bucket = given.get("bucket");
            String key = given.get("key");
            Path file = given.containsKey("file") ? Path.of(given.get("file")) : null;
            switch (words[0]) {
                case "put":
                    client.putObject(r -> {
                        r.bucket(bucket).key(key);
                        if (given.containsKey("context")) {
                            r.overrideConfiguration(S3EncryptionClient.withAdditionalConfiguration(
                                    Map.of(given.get("context").split(":")[0], given.get("context").split(":")[1])));
                        }
                    }, RequestBody.fromFile(file));
                    break;
                case "get":
                    byte[] body = client.getObjectAsBytes(r -> {
                        r.bucket(bucket).key(key);
                        if (given.containsKey("context")) {
                            r.overrideConfiguration(S3EncryptionClient.withAdditionalConfiguration(
                                    Map.of(given.get("context").split(":")[0], given.get("context").split(":")[1])));
                        } else if (given.containsKey("suffix")) {
                            r.overrideConfiguration(
                                    S3EncryptionClient.withCustomInstructionFileSuffix(given.get("suffix")));
                        }
                    }).asByteArray();
                    Files.write(file, body);
                    break;
                case "reencrypt":
                    ReEncryptInstructionFileRequest.Builder request = ReEncryptInstructionFileRequest.builder()
                            .bucket(bucket).key(key).newKeyring((RawKeyring) keyring(given, "new-"));
                    if (given.containsKey("suffix")) {
                        request.instructionFileSuffix(given.get("suffix"));
                    }
                    client.reEncryptInstructionFile(request.build());
                    break;
                default:
                    throw new IllegalArgumentException(words[0]);
            }
        }
    }

    private static S3EncryptionClient client(Map<String, String> given, S3Client plain) throws Exception {
        S3AsyncClient async =
                S3AsyncClient.builder().endpointOverride(ENDPOINT).region(REGION).forcePathStyle(true).build();
        boolean v2 = "V2".equals(given.get("format"));
        S3EncryptionClient.Builder builder = S3EncryptionClient.builderV4()
                .wrappedClient(plain)
                .wrappedAsyncClient(async)
                .keyring(keyring(given, ""))
                .enableLegacyWrappingAlgorithms(true)
                .enableLegacyUnauthenticatedModes(true)
                .commitmentPolicy(v2 ? CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT
                        : CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT)
                .encryptionAlgorithm(v2 ? AlgorithmSuite.ALG_AES_256_GCM_IV12_TAG16_NO_KDF
                        : AlgorithmSuite.ALG_AES_256_GCM_HKDF_SHA512_COMMIT_KEY);
        builder.instructionFileConfig(InstructionFileConfig.builder()
                .instructionFileClient(plain)
                .enableInstructionFilePutObject(given.containsKey("instruction"))
                .build());
        return builder.build();
    }

    private static Keyring keyring(Map<String, String> given, String prefix) throws Exception {
        if (given.containsKey(prefix + "kms")) {
            KmsClient kms = KmsClient.builder().endpointOverride(ENDPOINT).region(REGION).build();
            return KmsKeyring.builder().kmsClient(kms).wrappingKeyId(given.get(prefix + "kms"))
                    .enableLegacyWrappingAlgorithms(true).build();
        }
        MaterialsDescription.Builder description = MaterialsDescription.builder();
        if (given.containsKey(prefix + "description")) {
            String[] pair = given.get(prefix + "description").split(":");
            description.put(pair[0], pair[1]);
        }
        if (given.containsKey(prefix + "aes")) {
            SecretKey key = new SecretKeySpec(Base64.getDecoder().decode(given.get(prefix + "aes")), "AES");
            return AesKeyring.builder().wrappingKey(key).materialsDescription(description.build())
                    .enableLegacyWrappingAlgorithms(true).build();
        }
        byte[] der = Base64.getDecoder().decode(given.get(prefix + "rsa"));
        KeyFactory factory = KeyFactory.getInstance("RSA");
        RSAPrivateCrtKey secret = (RSAPrivateCrtKey) factory.generatePrivate(new PKCS8EncodedKeySpec(der));
        PartialRsaKeyPair pair = PartialRsaKeyPair.builder().privateKey(secret)
                .publicKey(factory.generatePublic(
                        new RSAPublicKeySpec(secret.getModulus(), secret.getPublicExponent())))
                .build();
        return RsaKeyring.builder().wrappingKeyPair(pair).materialsDescription(description.build())
                .enableLegacyWrappingAlgorithms(true).build();
    }
}
