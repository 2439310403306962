-- +goose Up

-- A statement's fees are booked when its invoice is recorded, so that what is
-- charged back is set off against them and not against cash.
INSERT INTO sla.ledger_accounts (code, side, name_zh, name_en) VALUES
    ('service_cost', 'debit', '救援服务成本', 'Service fees of providers'),
    ('provider_payable', 'credit', '应付服务商服务费', 'Service fees owed to providers');
