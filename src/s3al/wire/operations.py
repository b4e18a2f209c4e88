"""The allow-list: which operations of each model this server answers.

What lives here: names. What does not: behaviour. Every other operation of the models routes to NotImplemented.

Law: a name stands here only once a handler, a serializer test and AWS's semantics stand behind it; a setting that is
not supported yet has its GET here (AWS's unset answer) and its PUT absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_BUCKETS = """
    CreateBucket HeadBucket DeleteBucket ListBuckets GetBucketLocation
    GetBucketVersioning PutBucketVersioning
    GetBucketPolicy PutBucketPolicy DeleteBucketPolicy GetBucketPolicyStatus
    GetPublicAccessBlock PutPublicAccessBlock DeletePublicAccessBlock
    GetBucketOwnershipControls PutBucketOwnershipControls DeleteBucketOwnershipControls
    GetBucketTagging PutBucketTagging DeleteBucketTagging
    GetBucketCors PutBucketCors DeleteBucketCors
    GetBucketEncryption PutBucketEncryption DeleteBucketEncryption
    GetBucketLifecycleConfiguration PutBucketLifecycleConfiguration DeleteBucketLifecycle
"""

_OBJECTS = """
    PutObject GetObject HeadObject DeleteObject DeleteObjects CopyObject GetObjectAttributes
    GetObjectTagging PutObjectTagging DeleteObjectTagging
    ListObjects ListObjectsV2 ListObjectVersions
    UpdateObjectEncryption
"""

_LOCKS = """
    GetObjectLockConfiguration PutObjectLockConfiguration
    GetObjectRetention PutObjectRetention GetObjectLegalHold PutObjectLegalHold
"""

_MULTIPART = """
    CreateMultipartUpload UploadPart UploadPartCopy CompleteMultipartUpload AbortMultipartUpload
    ListParts ListMultipartUploads
"""

# ACLs: the owner's is the only one.
_ACLS = """
    GetBucketAcl PutBucketAcl GetObjectAcl PutObjectAcl
"""

# Settings that can be read, and are answered as AWS answers when nothing was ever set.
_UNSET = """
    GetBucketWebsite GetBucketReplication
    GetBucketLogging
    GetBucketAccelerateConfiguration GetBucketRequestPayment GetBucketNotificationConfiguration
"""

_KMS = """
    CancelKeyDeletion ConnectCustomKeyStore CreateAlias CreateCustomKeyStore CreateGrant CreateKey Decrypt
    DeleteAlias DeleteCustomKeyStore DeleteImportedKeyMaterial DeriveSharedSecret DescribeCustomKeyStores
    DescribeKey DisableKey DisableKeyRotation DisconnectCustomKeyStore EnableKey EnableKeyRotation Encrypt
    GenerateDataKey GenerateDataKeyPair GenerateDataKeyPairWithoutPlaintext GenerateDataKeyWithoutPlaintext
    GenerateMac GenerateRandom GetKeyLastUsage GetKeyPolicy GetKeyRotationStatus GetParametersForImport
    GetPublicKey ImportKeyMaterial ListAliases ListGrants ListKeyPolicies ListKeyRotations ListKeys
    ListResourceTags ListRetirableGrants PutKeyPolicy ReEncrypt ReplicateKey RetireGrant RevokeGrant
    RotateKeyOnDemand ScheduleKeyDeletion Sign TagResource UntagResource UpdateAlias UpdateCustomKeyStore
    UpdateKeyDescription UpdatePrimaryRegion Verify VerifyMac
"""

_STS = """
    AssumeRole AssumeRoleWithWebIdentity GetAccessKeyInfo GetCallerIdentity GetSessionToken
"""

_IAM = """
    CreateUser GetUser UpdateUser DeleteUser ListUsers TagUser UntagUser ListUserTags
    CreateAccessKey ListAccessKeys UpdateAccessKey DeleteAccessKey GetAccessKeyLastUsed
    CreateGroup GetGroup UpdateGroup DeleteGroup ListGroups AddUserToGroup RemoveUserFromGroup ListGroupsForUser
    CreateRole GetRole UpdateRole UpdateRoleDescription DeleteRole ListRoles UpdateAssumeRolePolicy
    TagRole UntagRole ListRoleTags ListInstanceProfilesForRole
    PutUserPolicy GetUserPolicy ListUserPolicies DeleteUserPolicy
    PutGroupPolicy GetGroupPolicy ListGroupPolicies DeleteGroupPolicy
    PutRolePolicy GetRolePolicy ListRolePolicies DeleteRolePolicy
    AttachUserPolicy DetachUserPolicy ListAttachedUserPolicies
    AttachGroupPolicy DetachGroupPolicy ListAttachedGroupPolicies
    AttachRolePolicy DetachRolePolicy ListAttachedRolePolicies
    PutUserPermissionsBoundary DeleteUserPermissionsBoundary PutRolePermissionsBoundary DeleteRolePermissionsBoundary
    CreatePolicy GetPolicy ListPolicies DeletePolicy CreatePolicyVersion GetPolicyVersion ListPolicyVersions
    DeletePolicyVersion SetDefaultPolicyVersion ListEntitiesForPolicy TagPolicy UntagPolicy ListPolicyTags
    CreateOpenIDConnectProvider GetOpenIDConnectProvider ListOpenIDConnectProviders DeleteOpenIDConnectProvider
    AddClientIDToOpenIDConnectProvider RemoveClientIDFromOpenIDConnectProvider UpdateOpenIDConnectProviderThumbprint
    TagOpenIDConnectProvider UntagOpenIDConnectProvider ListOpenIDConnectProviderTags
    GetAccountSummary GetAccountAuthorizationDetails
    SimulateCustomPolicy SimulatePrincipalPolicy GetContextKeysForCustomPolicy GetContextKeysForPrincipalPolicy
"""

# What no user or account has here, answered as AWS answers where there is none.
_IAM_ABSENT = """
    ListMFADevices ListVirtualMFADevices DeactivateMFADevice GetLoginProfile DeleteLoginProfile
    ListSSHPublicKeys DeleteSSHPublicKey ListSigningCertificates DeleteSigningCertificate
    ListServiceSpecificCredentials DeleteServiceSpecificCredential ListInstanceProfiles ListServerCertificates
    ListSAMLProviders ListAccountAliases GetAccountPasswordPolicy
"""

ALLOWED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "s3": tuple((_BUCKETS + _OBJECTS + _LOCKS + _MULTIPART + _ACLS + _UNSET).split()),
        "kms": tuple(_KMS.split()),
        "sts": tuple(_STS.split()),
        "iam": tuple((_IAM + _IAM_ABSENT).split()),
        "cloudtrail": ("LookupEvents",),
    }
)

# S3 operations that no model has: the form upload of a browser, and CORS preflight.
POST_OBJECT = "PostObject"
PREFLIGHT = "Preflight"
