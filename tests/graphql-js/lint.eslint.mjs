// What the schema is to look like: graphql-eslint's rules for schemas and for Relay.
// LINT_SCHEMA is the file.

import graphql from '@graphql-eslint/eslint-plugin';

const { configs, parser } = graphql;

export default [
  {
    files: ['**/*.graphql'],
    languageOptions: { parser, parserOptions: { graphQLConfig: { schema: process.env.LINT_SCHEMA } } },
    plugins: { '@graphql-eslint': graphql },
    rules: {
      ...configs['flat/schema-recommended'].rules,
      ...configs['flat/schema-relay'].rules,
      '@graphql-eslint/require-description': ['error', {
        types: true,
        rootField: true,
        FieldDefinition: true,
        InputValueDefinition: true,
        EnumValueDefinition: true,
        // async-graphql makes these, and leaves them undescribed.
        ignoredSelectors: ['[type=ObjectTypeDefinition][name.value=/Connection$/]', 'DirectiveDefinition InputValueDefinition'],
      }],
      // Pages go forward only.
      '@graphql-eslint/relay-arguments': ['error', { includeBoth: false }],
      // Some lists are short and never paged; what an audit entry is about has no id of its own.
      '@graphql-eslint/relay-edge-types': ['error', {
        withEdgeSuffix: true,
        shouldImplementNode: false,
        listTypeCanWrapOnlyEdgeType: false,
      }],
      // Values have no identity.
      '@graphql-eslint/strict-id-in-types': 'off',
      // `User.username`, and `@specifiedBy`, which async-graphql declares.
      '@graphql-eslint/no-typename-prefix': 'off',
      '@graphql-eslint/no-unreachable-types': 'off',
    },
  },
];
